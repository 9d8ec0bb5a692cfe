"""What evaluators say of the answers: levels, intervals, noise, bias and price, in words. Pure.

Intervals here are those of the view `answer_quality`, which treats all judged pairs alike. Verdicts
rest on exact ones, of the pairs of a stage; where a guardrail names the evaluator, its finding
stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from understudy.analyzers.guardrails.evaluator_sentences import ENOUGH_ORDERS
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_number,
    format_percent,
    format_points,
    format_value,
    format_with_interval,
)
from understudy.analyzers.guardrails.guardrail_titles import as_heading, guardrail_title
from understudy.analyzers.guardrails.slices import ALL
from understudy.schemas.api import AnswerQuality
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.rollout_metrics import QUALITY_PREFERENCE, QUALITY_SCORE
from understudy.streams.dashboard.evidence_rows import SIGNS, WORDS, Finding, finding_of

Interval = tuple[float | None, float | None]
_EVEN: Final = 0.5
"""Share of the preferences of either of two answers that are equally good."""
_TELLS_NOTHING: Final = 0.25
"""A difference of as much either way, half of what there can be, cannot be excluded."""
_MAX_REASONS: Final = 3
"""Named in a sentence; the API has all."""


@dataclass(frozen=True, slots=True)
class AnswersRow:
    """One evaluator in one language, or in all together."""

    language: str
    slice: str
    finding: Finding
    words: str
    sides: str
    """Stable's level and the candidate's: shares of the preferences, or mean scores."""
    interval: str
    pairs: str
    cost: str
    guardrail: str
    """Of the policy that names the evaluator; empty for none."""
    guardrail_title: str
    guardrail_words: str

    @property
    def sign(self) -> str:
        """The finding as one character."""
        return SIGNS[self.finding]


@dataclass(frozen=True, slots=True)
class EvaluatorPart:
    """What one evaluator says."""

    evaluator: str
    summary: list[str]
    """How many pairs at what price; its noise; how far its answers turn with the order."""
    rows: list[AnswersRow]


@dataclass(frozen=True, slots=True)
class _Figure:
    """One kind of what an evaluator says: preferences, or scores."""

    metric: str
    pairs: int
    value: float | None
    interval: Interval
    neutral: float
    sides: str


def answers_part(
    qualities: Sequence[AnswerQuality], decision: Decision | None
) -> list[EvaluatorPart]:
    """Return each evaluator with its languages, in the order given."""
    return [
        _part(name, list(some), decision)
        for name, some in groupby(qualities, key=lambda one: one.evaluator)
    ]


def _part(
    evaluator: str, qualities: Sequence[AnswerQuality], decision: Decision | None
) -> EvaluatorPart:
    together = next(one for one in qualities if one.language is None)
    rows = [row for one in qualities for row in _rows(one, decision)]
    return EvaluatorPart(evaluator, list(_summary(together)), rows)


def _rows(one: AnswerQuality, decision: Decision | None) -> Iterator[AnswersRow]:
    slice_name = ALL if one.language is None else f"language:{one.language}"
    for figure in _figures(one):
        finding = _finding(figure)
        guardrail = _guardrail(one.evaluator, slice_name, figure.metric, decision)
        yield AnswersRow(
            language=one.language or ALL,
            slice=slice_name,
            finding=finding,
            words=_words(figure, finding),
            sides=figure.sides,
            interval=_interval_text(figure),
            pairs=format_count(figure.pairs),
            cost=format_value("usd", one.cost_usd),
            guardrail=guardrail.guardrail if guardrail else "",
            guardrail_title=_title(guardrail) if guardrail else "",
            guardrail_words=WORDS[finding_of(guardrail)] if guardrail else "",
        )


def _title(one: Evidence) -> str:
    return as_heading(guardrail_title(one.guardrail, one.metric))


def _figures(one: AnswerQuality) -> Iterator[_Figure]:
    """Yield what there is of preferences and scores; of neither, that there is nothing."""
    if one.preferred is not None:
        sides = f"{format_percent(1 - one.preferred)} → {format_percent(one.preferred)}"
        yield _Figure(QUALITY_PREFERENCE.name, one.preferences, one.preferred,
                      one.preferred_interval, _EVEN, sides)  # fmt: skip
    if one.stable_score is not None and one.candidate_score is not None:
        sides = f"{format_number(one.stable_score, 3)} → {format_number(one.candidate_score, 3)}"
        yield _Figure(QUALITY_SCORE.name, one.scores, one.score_difference,
                      one.score_interval, 0.0, sides)  # fmt: skip
    if not one.pairs:
        yield _Figure(QUALITY_PREFERENCE.name, 0, None, (None, None), _EVEN, "–")


def _finding(figure: _Figure) -> Finding:
    low, high = figure.interval
    if figure.value is None:
        return Finding.UNMEASURED
    if high is not None and high < figure.neutral:
        return Finding.WORSE
    if low is not None and low > figure.neutral:
        return Finding.BETTER
    return Finding.UNCLEAR


def _words(figure: _Figure, finding: Finding) -> str:
    if finding is Finding.UNMEASURED:
        return "nothing is judged yet"
    if finding is not Finding.UNCLEAR:
        return WORDS[finding]
    reach = _reach(figure.interval, figure.neutral)
    if reach >= _TELLS_NOTHING:
        return "too few pairs to tell"
    return f"no difference is shown; there may be one of up to {format_points(reach)}"


def _reach(interval: Interval, neutral: float) -> float:
    """How far from nothing at all the farther end of an interval lies."""
    return max((abs(end - neutral) for end in interval if end is not None), default=math.inf)


def _interval_text(figure: _Figure) -> str:
    low, high = figure.interval
    if low is None or high is None:
        return "–"
    if figure.metric == QUALITY_PREFERENCE.name:
        return f"{format_percent(low)} to {format_percent(high)}"
    return f"{_signed(low)} to {_signed(high)} points"


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def _guardrail(
    evaluator: str, slice_name: str, metric: str, decision: Decision | None
) -> Evidence | None:
    """Return the worst evidence that rests on an evaluator in a slice."""
    found = [
        one
        for one in (decision.evidence if decision else ())
        if (one.evaluator, one.slice, one.metric) == (evaluator, slice_name, metric)
    ]
    return min(found, key=lambda one: finding_of(one).rank, default=None)


# What is said of an evaluator itself


def _summary(together: AnswerQuality) -> Iterator[str]:
    yield _spent(together)
    if together.preferences or together.control_pairs:  # programs that score hold against control
        yield _noise(together)
    yield from _orders(together)


def _spent(one: AnswerQuality) -> str:
    who = f" by {', '.join(one.models)}" if one.models else ""
    judged = f"{_pairs(one.pairs)} judged{who} for {format_value('usd', one.cost_usd)}"
    if one.tied:
        judged += f", neither better in {format_percent(one.tied)}"
    in_vain = sum(one.not_judged.values())
    if not in_vain:
        return f"{judged}."
    reasons = list(one.not_judged.items())
    named = [f"{reason} {format_count(count)}" for reason, count in reasons[:_MAX_REASONS]]
    more = ", …" if len(reasons) > _MAX_REASONS else ""
    return f"{judged}; {format_count(in_vain)} asked about in vain ({', '.join(named)}{more})."


def _noise(one: AnswerQuality) -> str:
    """Say what it sees between two runs of stable, which are equally good on average."""
    if one.control_pairs < 2:
        count = "one control pair" if one.control_pairs else "no control pair"
        return (
            f"Its noise is unknown: {count} has been judged. Let gateways run stable a second "
            "time for a share of the requests."
        )
    of = f"{format_count(one.control_pairs)} control pairs"
    if one.control_preferred is not None:
        share = _with_interval(format_percent, one.control_preferred, one.control_interval)
        said = f"Of {of}, two runs of stable, it prefers the second in {share}"
        return said + _judged_noise(one.control_interval, _EVEN)
    points = _with_interval(format_points, one.control_score_difference, one.control_score_interval)
    said = f"It scores stable's second run {points} above the first, in {of}"
    return said + _judged_noise(one.control_score_interval, 0.0)


def _judged_noise(interval: Interval, neutral: float) -> str:
    low, high = interval
    if low is None or high is None or low <= neutral <= high:
        if _reach(interval, neutral) >= _TELLS_NOTHING:
            return ": too few to tell."
        return ": no liking for either is shown."
    return ", though both are equally good: it sees something else than the answers."


def _orders(one: AnswerQuality) -> Iterator[str]:
    if one.first_preferred is not None and one.orders >= ENOUGH_ORDERS:
        yield f"The answer shown first is preferred in {format_percent(one.first_preferred)}."
    if one.both_orders_alike is not None and one.both_orders >= ENOUGH_ORDERS:
        yield (
            f"Of {_pairs(one.both_orders)} asked in both orders, "
            f"{format_percent(one.both_orders_alike)} give the same answer twice."
        )


def _with_interval(written: Callable[[float], str], value: float | None, interval: Interval) -> str:
    low, high = (math.nan if end is None else end for end in interval)
    return format_with_interval(written, value or 0.0, low, high)


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{format_count(count)} pairs"
