"""The sentences of a decision: why it rolls back, pauses, holds, promotes or alerts.

They are what an on-call engineer reads at three in the morning, so each says what was measured,
where, by how much, and what the limit is:

    JSON validity in `ja` fell 2.1 points, limit 0.5; 1,840 pairs
"""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import (
    ANY_SLICE,
    CheckResult,
    Evaluation,
    is_complete,
    weightiest_of,
)
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_limit,
    format_limit_value,
    format_percent,
    format_points,
    format_value,
    printable,
)
from understudy.analyzers.guardrails.sequential_tests import MeanTest, Observed
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.statistics import AnyStatistics, LimitStatistics
from understudy.analyzers.sequential.tail_buckets import ENOUGH_UNITS
from understudy.schemas.rollouts import Rollout, Stage

MOST_REASONS: Final = 5
"""As many as a message on a phone shows without scrolling."""
SUSPICION: Final = "harm is suspected"
"""How a reason to hold begins that is a suspicion."""


def reasons_for_rollback(state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what carries the evidence for a rollback, weightiest first."""
    return _sentences(state, weightiest_of(evaluation.results, "rollback"))


def reasons_for_pause(state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what carries the evidence for a pause, weightiest first."""
    return _sentences(state, weightiest_of(evaluation.results, "pause"))


def reasons_for_promotion(rollout: Rollout, state: RolloutState) -> list[str]:
    """Return what has been shown."""
    stage = rollout.stages[state.status.stage]
    return [
        f"every required guardrail is shown to be within its limit after "
        f"{format_count(state.stage.requests)} requests in stage {printable(stage.name)}"
    ]


def reasons_for_hold(rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what promotion lacks."""
    reasons: list[str] = []
    if state.status.paused is not None:
        reasons.extend(f"paused: {reason}" for reason in state.status.paused.reasons)
    if is_complete(rollout, state):
        return [*reasons, "the candidate has all requests; there is no further stage"]
    for name in evaluation.missing:
        reasons.extend(_lacking(name, rollout, state, evaluation))
    return reasons


def alerts(rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what an engineer should look at although it rolls nothing back."""
    quality = [_broken(name, rollout, state) for name in evaluation.statistical.breaches]
    return _sentences(state, evaluation.alerting) + quality


def waiting(check: Check, slice_name: str, state: RolloutState) -> str:
    """Return why a check has no evidence yet; empty when it has."""
    evidence = state.find_evidence(slice_name, check.name)
    if check.is_tail and evidence is None:
        threshold = state.tail_threshold(slice_name, check.metric.measure)
        if not threshold.buckets:
            return (
                f"learning stable's quantile: {format_count(threshold.units)} of "
                f"{format_count(ENOUGH_UNITS)} requests"
            )
        return "stable's quantile is known; waiting for later windows to compare"
    if evidence is None or not evidence.total:
        return "nothing measured yet"
    needs_control = check.metric.kind in ("agreement", "excess")
    if isinstance(check.test, MeanTest) and evidence.rollback.scale.prior <= 0.0:
        units = "control sides" if needs_control else "requests"
        return f"learning how much values vary; too few {units} yet"
    if evidence.rollback.wealth.windows == 0 and evidence.rollback.waiting:
        return f"no {'control side' if needs_control else 'request on the other arm'} yet"
    return ""


def _sentences(state: RolloutState, results: list[CheckResult]) -> list[str]:
    return [_sentence(r.check, r.evidence.slice, state) for r in results[:MOST_REASONS]]


def _sentence(check: Check, slice_name: str, state: RolloutState) -> str:
    """Say what was observed of a check in a slice since its evidence began to grow."""
    evidence = state.evidence[slice_name][check.name]
    statistics = evidence.recent().statistics or evidence.total
    observed = check.test.observed(statistics)
    what = f"{check.metric.title} {_where(slice_name)}"
    units = f"{format_count(observed.units)} {_unit_word(check, statistics)}"
    if check.is_tail:
        return f"{what} {_beyond_tail(check, slice_name, state, observed)}; {units}"
    return f"{what} {_change(check, observed)}, limit {_limit(check)}; {units}"


def _where(slice_name: str) -> str:
    if slice_name == ALL:
        return "over all requests"
    title = printable(slice_title(slice_name))
    if slice_name.startswith("language:"):
        return f"in `{title}`"
    return f"in workflow `{title.removeprefix('workflow ')}`"


def _change(check: Check, observed: Observed) -> str:
    """Say `fell 2.1 points`, `rose 15 %`, `is 2.3 %`."""
    unit = check.metric.unit
    if check.metric.kind == "quantile":
        share = format_percent(observed.candidate)
        return f"is over {format_value(unit, check.value)} in {share} of the requests"
    if check.metric.kind == "excess":
        return f"is {format_points(observed.harm)}"
    if check.guardrail.limit in ("max", "min"):
        return f"is {format_value(unit, check.own_value(observed.candidate))}"
    if observed.harm is None:
        return "is not known"
    worse_is_lower = check.metric.higher_is_better or check.guardrail.limit == "max_drop"
    verb = "fell" if (observed.harm >= 0.0) == worse_is_lower else "rose"
    change = abs(observed.harm)
    if check.guardrail.relative:
        return f"{verb} {format_percent(change)}"
    return f"{verb} {format_points(change) if unit == 'share' else format_value(unit, change)}"


def _limit(check: Check) -> str:
    """Say the limit in the unit of `_change`; points are not repeated."""
    if check.metric.kind == "quantile":
        return format_percent(check.test.margin)
    limit = format_limit_value(
        check.metric, check.guardrail.limit, check.value, relative=check.guardrail.relative
    )
    return limit.removesuffix(" pp")


def _beyond_tail(check: Check, slice_name: str, state: RolloutState, observed: Observed) -> str:
    buckets = state.tail_threshold(slice_name, check.metric.measure).buckets
    if not buckets or observed.candidate is None or observed.stable is None:
        return "is not known"
    stable_ms, candidate_ms = check.tail_limit_ms(buckets[str(check.metric.quantile)])
    limit = format_limit(
        check.metric, check.guardrail.limit, check.value, relative=check.guardrail.relative
    )
    return (
        f"beyond {limit.removeprefix('≤ ')}: {format_percent(observed.candidate)} of the "
        f"candidate's took over {format_value('ms', candidate_ms)}, "
        f"{format_percent(observed.stable)} of stable's over {format_value('ms', stable_ms)}"
    )


def _unit_word(check: Check, statistics: AnyStatistics) -> str:
    """Say what a check counts: pairs, or requests of the candidate."""
    if check.metric.counts:
        return check.metric.counts
    if isinstance(statistics, LimitStatistics):
        return "requests"
    return (
        "pairs" if statistics.pairs or check.metric.kind in ("agreement", "excess") else "requests"
    )


def _lacking(name: str, rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Say what one entry of `Evaluation.missing` means."""
    stage = rollout.stages[state.status.stage]
    if name in ("requests", "duration"):
        return [f"{_so_far(name, stage, state)} in closed windows of stage {printable(stage.name)}"]
    if name == "suspected_harm":
        suspects = weightiest_of(evaluation.results, "rollback")
        return [f"{SUSPICION}: {sentence}" for sentence in _sentences(state, suspects)[:1]]
    if name == "guardrails":
        return ["no required guardrail has been measured yet"]
    if name in evaluation.statistical.breaches:
        return [_broken(name, rollout, state)]
    guardrail, _, slice_name = name.rpartition("/")
    if slice_name == ANY_SLICE:
        return [f"not yet shown to be within its limit: {printable(guardrail)}: none of its slices "
                "has turned up yet"]  # fmt: skip
    return [
        _unproven(result, state)
        for result in evaluation.results
        if f"{result.check.name}/{result.evidence.slice}" == name
    ]


def _so_far(name: str, stage: Stage, state: RolloutState) -> str:
    totals = state.stage.totals
    if name == "requests":
        return f"{format_count(totals.requests)} of {format_count(stage.min_requests)} requests"
    return f"{format_duration(totals.duration_s)} of {format_duration(stage.min_duration_s)}"


def _unproven(result: CheckResult, state: RolloutState) -> str:
    check, name = result.check, result.evidence.slice
    reason = waiting(check, name, state) or _sentence(check, name, state)
    title = "" if check.metric.title in reason else f"{check.metric.title} {_where(name)}: "
    return f"not yet shown to be within its limit: {title}{reason}"


def _broken(name: str, rollout: Rollout, state: RolloutState) -> str:
    """Say which limit of data quality is broken."""
    counts, quality = state.stage, state.stage.quality
    if name == "unmatched_share":
        return (
            f"{format_percent(quality.unmatched_share)} of the requests lack a side, "
            f"limit {100 * rollout.max_unmatched_share:g} %"
        )
    if name == "late_share":
        return (
            f"{format_percent(quality.late_share)} of the events arrive late, "
            f"limit {100 * rollout.max_late_share:g} %; they lie behind newer events of their "
            "partition and are not measured, see `understudy doctor`"
        )
    share = counts.single_candidate / counts.single if counts.single else 0.0
    planned = rollout.stages[state.status.stage].share
    return (
        f"the candidate gets {format_percent(share)} of the requests instead of the planned "
        f"{100 * planned:g} %"
    )
