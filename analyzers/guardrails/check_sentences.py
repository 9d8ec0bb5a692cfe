"""One sentence about a check in a slice: what was measured, where, by how much, and the limit.

    JSON validity in `ja` fell 2.1 points (95 % interval 1.6 to 2.5), 99 % → 96.9 %,
    limit 0.5 points; 1,840 pairs

The numbers are those of all requests judged so far. The stretch in which evidence grew was chosen
by its outcomes, so what it shows is larger than the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import CheckResult
from understudy.analyzers.guardrails.evaluator_sentences import noise_sentence, place_preference
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_limit,
    format_limit_value,
    format_percent,
    format_points,
    format_time,
    format_value,
    format_with_interval,
    is_in_points,
    printable,
)
from understudy.analyzers.guardrails.sequential_tests import LimitTest, Observed
from understudy.analyzers.guardrails.slices import ALL, is_mirrored, slice_title, unmirrored
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.bets import FloatArray

_COUNT_LOST: Final = ("error_rate", "lost_rate")
"""Rates to which sides that never came belong."""
_WORTH_NAMING: Final = 0.1
"""Part of the candidate's failures from which answers that never came are told apart."""
_KNOWN_AFTER: Final = 500
"""Requests before the newest windows after which stable's usual rate counts as known."""
_INCIDENT_SHARE: Final = 0.01
"""Points, beyond twice its usual rate, by which stable must have become worse: an incident that
matters to a decision about a point."""
_INCIDENT_UNITS: Final = 10
"""Bad requests of stable from which that is no chance."""
_MOST_SLICES: Final = 3
"""Further slices of the same guardrail that are named; more would hide the other guardrails."""


def sentence(
    result: CheckResult, state: RolloutState, others: list[CheckResult], *, pairs: str = "pairs"
) -> str:
    """Say what was observed of a check in a slice; `others` are of the same check elsewhere.

    `pairs` is what requests that both sides answered are called.
    """
    check, name = result.check, result.evidence.slice
    if check.of_evaluator:
        return f"{noise_sentence(result, where(name))}{_elsewhere(others)}"
    observed = check.test.observed(result.total)
    what = f"{_title(check)} {where(name)}"
    if check.is_tail:
        finding = _beyond_tail(result, state, observed)
    else:
        finding = f"{_change(result, observed)}, limit {_limit(check)}"
    units = f"{format_count(observed.units)} {_unit_word(check, result.total, pairs)}"
    asides = (
        place_preference(result),
        _lately(result, observed),
        _lost(check, state, observed),
        _incident(result),
        _elsewhere(others),
    )
    return f"{what} {finding}; {units}{''.join(asides)}"


def _title(check: Check) -> str:
    return f"stable's own {check.metric.title}" if check.of_stable else check.metric.title


def where(slice_name: str) -> str:
    """Say in which part of the traffic."""
    if is_mirrored(slice_name):
        own = unmirrored(slice_name)
        return "over mirrored requests" if own == ALL else f"in mirrored {_quoted(own)}"
    if slice_name == ALL:
        return "over all requests"
    return f"in {_quoted(slice_name)}"


def _quoted(slice_name: str) -> str:
    if is_mirrored(slice_name):
        own = unmirrored(slice_name)
        return "mirrored requests" if own == ALL else f"mirrored {_quoted(own)}"
    title = printable(slice_title(slice_name))
    if slice_name == ALL:
        return "all requests"
    if slice_name.startswith("language:"):
        return f"`{title}`"
    return f"workflow `{title.removeprefix('workflow ')}`"


def _elsewhere(others: list[CheckResult]) -> str:
    if not others:
        return ""
    named = [_quoted(other.evidence.slice) for other in others[:_MOST_SLICES]]
    more = len(others) - len(named)
    rest = [f"{more} more slice{'s' if more > 1 else ''}"] if more else []
    return f"; also in {', '.join(named + rest)}"


def _lately(result: CheckResult, observed: Observed) -> str:
    """Both levels in the newest windows, where a long healthy past hides what they show."""
    check, newest = result.check, result.newest
    if newest is None or newest.window_ms < 0 or check.is_tail or observed.harm is None:
        return ""
    now = check.test.observed(newest.statistics)
    is_hidden = observed.harm <= check.test.margin and now.harm is not None
    if not is_hidden or now.harm is None or now.harm <= check.test.margin:
        return ""
    levels = _levels(check, now) or format_value(check.metric.unit, check.own_value(now.candidate))
    return f"; since {format_time(newest.window_ms)} {levels} in {format_count(now.units)} of them"


def _lost(check: Check, state: RolloutState, observed: Observed) -> str:
    """Whose side never came, where that is a part of the failures worth naming."""
    if check.metric.name not in _COUNT_LOST or check.of_stable or not observed.candidate:
        return ""
    candidate, stable = state.stage.lost_candidate_share, state.stage.lost_stable_share
    if candidate < _WORTH_NAMING * observed.candidate:
        return ""
    said = f"; {format_percent(candidate)} of the candidate's answers never came"
    return f"{said}, {format_percent(stable)} of stable's" if stable else said


def _incident(result: CheckResult) -> str:
    """Say that stable itself has become worse lately: the cause may not be the candidate."""
    check, newest = result.check, result.newest
    if newest is None or check.is_tail or check.metric.kind not in ("rate", "lost"):
        return ""
    before = check.test.observed(result.total - newest.statistics)
    now = check.test.observed(newest.statistics)
    if before.stable is None or now.stable is None or before.units < _KNOWN_AFTER:
        return ""
    is_incident = now.stable >= 2.0 * before.stable + _INCIDENT_SHARE
    if not is_incident or now.stable * now.units < _INCIDENT_UNITS:
        return ""
    usual, lately = (
        format_value(check.metric.unit, check.own_value(one.stable)) for one in (before, now)
    )
    return (
        f"; stable's own went from {usual} to {lately} since {format_time(newest.window_ms)}: one "
        "incident may have hit both sides"
    )


def _change(result: CheckResult, observed: Observed) -> str:
    """Say `fell 2.1 points (95 % interval …), 99 % → 96.9 %`, or `is 2.3 % (95 % interval …)`."""
    check, unit, harm = result.check, result.check.metric.unit, observed.harm
    low, high = result.evidence.interval
    if harm is None:
        return "is not known"
    if check.metric.kind == "quantile":
        share = format_with_interval(format_percent, harm, low, high)
        return f"is over {format_value(unit, check.value)} in {share} of the requests"
    if check.metric.kind == "excess":
        return f"is {format_with_interval(format_points, harm, low, high)}"
    if check.guardrail.limit in ("max", "min"):
        return f"is {_own_level(check, harm, low, high)}"
    if check.guardrail.relative and unit == "share":
        return _beyond_multiple(check, observed, harm, low, high)
    worse_is_lower = check.metric.higher_is_better or check.guardrail.limit == "max_drop"
    verb = "fell" if (harm >= 0.0) == worse_is_lower else "rose"
    if harm < 0.0:
        harm, low, high = -harm, -high, -low
    written = f"{verb} {format_with_interval(_amount_of(check), harm, low, high)}"
    return f"{written}, {levels}" if (levels := _levels(check, observed)) else written


def _beyond_multiple(check: Check, observed: Observed, harm: float, low: float, high: float) -> str:
    side = "above" if harm >= 0.0 else "below"
    if harm < 0.0:
        harm, low, high = -harm, -high, -low
    points = format_with_interval(format_points, harm, low, high)
    return f"is {points} {side} {1.0 + check.value:g} times stable's, {_levels(check, observed)}"


def _own_level(check: Check, harm: float, low: float, high: float) -> str:
    """The candidate's own value: tests count what is bad, JSON validity what is good."""
    if check.metric.higher_is_better:
        harm, low, high = 1.0 - harm, 1.0 - high, 1.0 - low
    elif check.guardrail.limit == "min":
        harm, low, high = -harm, -high, -low
    return format_with_interval(partial(format_value, check.metric.unit), harm, low, high)


def _levels(check: Check, observed: Observed) -> str:
    stable, candidate = check.own_value(observed.stable), check.own_value(observed.candidate)
    if stable is None or candidate is None:
        return ""
    unit = check.metric.unit
    return f"{format_value(unit, stable)} → {format_value(unit, candidate)}"


def _amount_of(check: Check) -> Callable[[float], str]:
    """How a change is written: per cent of stable, points, or in the metric's own unit."""
    if check.guardrail.relative:
        return format_percent
    if check.metric.unit == "share":
        return format_points
    return partial(format_value, check.metric.unit)


def _limit(check: Check) -> str:
    """Say the limit in the unit of `_change`."""
    guardrail, metric = check.guardrail, check.metric
    if metric.kind == "quantile":
        return format_percent(check.test.margin)
    if guardrail.relative and metric.unit == "share":
        return format_points(guardrail.floor)
    if is_in_points(metric, guardrail.limit, relative=guardrail.relative):
        return format_points(check.value)
    return format_limit_value(metric, guardrail.limit, check.value, relative=guardrail.relative)


def _beyond_tail(result: CheckResult, state: RolloutState, observed: Observed) -> str:
    """Say how often each side took longer than its threshold."""
    check = result.check
    buckets = state.tail_threshold(result.evidence.slice, check.metric.measure).buckets
    if not buckets or observed.candidate is None or observed.stable is None:
        return "is not known"
    stable_ms, candidate_ms = check.tail_limit_ms(buckets[str(check.metric.quantile)])
    limit = format_limit(
        check.metric, check.guardrail.limit, check.value, relative=check.guardrail.relative
    )
    more = format_with_interval(
        format_points, observed.candidate - observed.stable, *result.evidence.interval
    )
    return (
        f"beyond {limit.removeprefix('≤ ')}: {format_percent(observed.candidate)} of the "
        f"candidate's took over {format_value('ms', candidate_ms)}, "
        f"{format_percent(observed.stable)} of stable's over {format_value('ms', stable_ms)}, "
        f"a difference of {more}"
    )


def _unit_word(check: Check, statistics: FloatArray, pairs: str) -> str:
    """Say what a check counts: pairs, or requests of the candidate."""
    if check.metric.counts:
        return check.metric.counts
    if isinstance(check.test, LimitTest):
        return "requests"
    has_pairs = statistics[check.test.fields.index("pairs")] > 0.0
    return pairs if has_pairs or check.metric.kind in ("agreement", "excess") else "requests"
