"""What people read where a decision names a guardrail, a slice of one or what promotion lacks.

Decisions name guardrails as policies do, `json_valid_rate/language:ja`, since programs read them.
Pages, reports and messages say "JSON validity in ja".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from understudy.analyzers.guardrails.checks import WARNING_SUFFIX, Check
from understudy.analyzers.guardrails.evaluate import ANY_SLICE
from understudy.analyzers.guardrails.formatting import format_count, printable
from understudy.analyzers.guardrails.slices import ALL, MIRRORED, slice_title
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.schemas.rollout_metrics import METRICS

_SUSPECTED: Final = f"{SUSPECTED_HARM}/"
_LACKS: Final[Mapping[str, str]] = {
    "requests": "more requests in closed windows",
    "duration": "more time in closed windows",
    "guardrails": "a required guardrail that is measured",
    "paused": "an operator, since the rollout is paused",
    SUSPECTED_HARM: "an end of the suspicion of harm, all guardrails together",
    "unmatched_share": "fewer sides without a partner",
    "late_share": "fewer events that come late",
    "sample_ratio": "requests that are shared as planned",
}
"""What promotion waits for that is no guardrail in a slice, as `Decision.missing` names it."""
_NAME: Final = re.compile(
    rf"(.*?)/({ALL}|{ANY_SLICE}|{MIRRORED}|(?:{MIRRORED},)?(?:language|workflow):.*)", re.DOTALL
)
"""Guardrail and slice; both may have a slash in them."""

_MOST_SLICES: Final = 20
"""Named in a sentence; a policy may require hundreds, which tables list."""


class _Found(Protocol):
    """Evidence, or a finding of a fixed sample."""

    @property
    def guardrail(self) -> str: ...

    @property
    def metric(self) -> str: ...


def guardrail_title(guardrail: str, metric: str) -> str:
    """Return what a guardrail measures, with the name that its policy gives it, where it does.

    `JSON validity`, `error rate (tripled)`; the name alone where the metric is not known.
    """
    own = guardrail.removesuffix(WARNING_SUFFIX)
    if metric not in METRICS:
        return printable(own)
    title = METRICS[metric].title
    return title if own == metric else f"{title} ({printable(own)})"


def check_title(check: Check) -> str:
    """Return what a check is about: of no guardrail, whose value or whose evaluations it tests."""
    if check.of_evaluator:
        return printable(check.evaluator)
    if check.of_stable:
        return f"stable's own {check.metric.title}"
    return guardrail_title(check.guardrail.name, check.metric.name)


def as_heading(title: str) -> str:
    """Return a title with a capital letter, for headings and tables."""
    return title[:1].upper() + title[1:]


def guardrail_titles(names: Iterable[str], evidence: Iterable[_Found]) -> list[str]:
    """Return the titles of guardrails, given the evidence of the decision that names them."""
    metrics = {one.guardrail: one.metric for one in evidence}
    own = [(name, name.removesuffix(WARNING_SUFFIX)) for name in names]
    return [guardrail_title(name, metrics.get(guardrail, guardrail)) for name, guardrail in own]


def slice_titles(names: Sequence[str], evidence: Iterable[_Found]) -> list[str]:
    """Return `guardrail/slice` names by guardrail: `JSON validity in all requests, ja`."""
    return [f"{title} in {where}" for title, where in _by_guardrail(names, evidence)]


def _by_guardrail(names: Sequence[str], evidence: Iterable[_Found]) -> list[tuple[str, str]]:
    """Return each guardrail's title with its slices."""
    by_guardrail: dict[str, list[str]] = {}
    for name in names:
        found = _NAME.fullmatch(name)
        guardrail, where = found.groups() if found else (name, ALL)
        by_guardrail.setdefault(guardrail, []).append(_where(where))
    titles = guardrail_titles(by_guardrail, evidence)
    return [
        (title, _listed(wheres))
        for title, wheres in zip(titles, by_guardrail.values(), strict=True)
    ]


def _listed(names: Sequence[str]) -> str:
    left = len(names) - _MOST_SLICES
    rest = f" and {format_count(left)} more" if left > 0 else ""
    return ", ".join(names[:_MOST_SLICES]) + rest


def missing_titles(names: Sequence[str], evidence: Sequence[_Found]) -> list[str]:
    """Return what promotion waits for, given `Decision.missing`, one text for each guardrail."""
    suspected = [one.removeprefix(_SUSPECTED) for one in names if one.startswith(_SUSPECTED)]
    unproven = [one for one in names if one not in _LACKS and not one.startswith(_SUSPECTED)]
    return [
        *(_LACKS[one] for one in names if one in _LACKS),
        *(f"an end of the suspicion of harm: {one}" for one in slice_titles(suspected, evidence)),
        *(
            f"{title} within its limit: {where}"
            for title, where in _by_guardrail(unproven, evidence)
        ),
    ]


def _where(name: str) -> str:
    if name == ANY_SLICE:
        return "slices of which none has turned up yet"
    return "all requests" if name == ALL else printable(slice_title(name))
