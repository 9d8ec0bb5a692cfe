"""What two recorded runs could not be judged by, because their files do not tell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from understudy.analyzers.guardrails.guardrail_titles import guardrail_title
from understudy.schemas.adapters.cases import Case
from understudy.schemas.adapters.recorded_answer import RecordedAnswer
from understudy.schemas.events import Request, Response, Timing, Usage
from understudy.schemas.fixed_sample import FixedSampleVerdict
from understudy.schemas.rollouts import Rollout

_NO_REQUEST, _NO_RESPONSE, _NO_TIMING, _NO_USAGE = Request(), Response(), Timing(), Usage()


class _Need(NamedTuple):
    """What some metrics are measured by."""

    metrics: tuple[str, ...]
    """Their names, or how these begin."""
    noun: str
    hint: str
    has: Callable[[RecordedAnswer], bool]
    """Whether a record tells it."""


_NEEDS: Final = (
    _Need(
        ("duration",), "durations", "",
        lambda one: (one.timing or _NO_TIMING).duration_ms is not None,
    ),
    _Need(
        ("time_to_first_token", "incomplete_rate"), "times to first token of streamed answers", "",
        lambda one: (one.timing or _NO_TIMING).time_to_first_token_ms is not None,
    ),
    _Need(
        ("cost_usd",), "prices", "",
        lambda one: bool((one.usage or _NO_USAGE).cost_usd),
    ),
    _Need(
        ("output_tokens", "input_tokens"), "token counts", "",
        lambda one: (one.usage or _NO_USAGE).output_tokens is not None,
    ),
    _Need(
        ("truncation_rate",), "finish reasons", "",
        lambda one: (one.response or _NO_RESPONSE).finish_reason is not None,
    ),
    _Need(
        ("json_valid_rate",), "requests for JSON", " (--expects json says that all are)",
        lambda one: (one.request or _NO_REQUEST).expects in ("json", "json_schema"),
    ),
    _Need(
        ("json_schema_valid_rate",), "JSON Schemas", "",
        lambda one: (one.request or _NO_REQUEST).schema_id is not None,
    ),
    _Need(
        ("tool_call",), "offered tools", "",
        lambda one: bool((one.request or _NO_REQUEST).tools),
    ),
    _Need(
        ("fallback_rate",), "fallbacks", "",
        lambda one: one.fallback is not None,
    ),
    _Need(
        ("language_match_rate",), "languages of requests",
        " (--prompt or --language names a column; --language de, one language for all)",
        lambda one: bool(one.language or (one.request or _NO_REQUEST).prompt),
    ),
)  # fmt: skip


def unjudged(cases: Sequence[Case], rollout: Rollout, verdict: FixedSampleVerdict) -> Iterator[str]:
    """Sentences that say which guardrails were not judged, and for lack of what."""
    metric_of = {guardrail.name: guardrail.metric for guardrail in rollout.guardrails}
    left = dict.fromkeys(verdict.not_measured)
    for need in _NEEDS:
        names = [name for name in left if metric_of.get(name, name).startswith(need.metrics)]
        where = _lacking(cases, need)
        if names and where:
            judged = ", ".join(guardrail_title(name, metric_of.get(name, name)) for name in names)
            yield f"no {need.noun} in {where}: {judged} cannot be judged{need.hint}"
            left = {name: None for name in left if name not in names}
    if left:
        titles = ", ".join(guardrail_title(name, metric_of.get(name, name)) for name in left)
        yield f"no answer is of a kind that these look at: {titles}"


def _lacking(cases: Sequence[Case], need: _Need) -> str:
    """Whose files do not tell it; empty where both do."""
    stable = any(need.has(case.stable.answer) for case in cases if case.stable)
    candidate = any(need.has(case.candidate.answer) for case in cases if case.candidate)
    if stable and candidate:
        return ""
    if stable or candidate:
        return f"{'candidate' if stable else 'stable'}'s files"
    return "these files"
