"""Build the decision record from an evaluation and the state that it rests on."""

from __future__ import annotations

import datetime as dt
import math

import msgspec

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import CheckResult, Evaluation, thresholds_of
from understudy.analyzers.guardrails.evaluator_sentences import order_note
from understudy.analyzers.guardrails.explanations import (
    alerts,
    reasons_for_hold,
    reasons_for_promotion,
    reasons_for_rollback,
    untold_of,
    waiting,
)
from understudy.analyzers.guardrails.formatting import format_value
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas import decisions
from understudy.schemas.decisions import Decision
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.rollouts import Rollout


def build_decision(
    rollout: Rollout,
    state: RolloutState,
    evaluation: Evaluation,
    *,
    is_refresh: bool,
    cause: decisions.Cause | None = None,
    command: decisions.CausingCommand | None = None,
) -> Decision:
    """Return the decision, with everything that it takes to compute it again."""
    status = state.status
    stage = rollout.stages[status.stage]
    since_ms = status.verdict_since_ms
    if status.rolled_back is not None:
        since_ms = status.rolled_back.since_ms
    without = untold_of(state, evaluation)
    return Decision(
        rollout_id=rollout.rollout_id,
        rollout_created_at=_time(status.created_ms),
        sequence=status.sequence,
        cause=cause,
        command=command,
        last_command=status.last_command,
        rejections=dict(status.rejections),
        policy_hash=state.policy_hash,
        is_refresh=is_refresh,
        verdict=evaluation.verdict,
        reasons=_reasons(rollout, state, evaluation),
        decided_at=from_epoch_ms(status.now_ms),
        since=from_epoch_ms(since_ms),
        windows_until=_time(status.newest_window_end_ms),
        candidate_share=0.0 if evaluation.is_rolled_back else stage.share,
        is_latched=status.rolled_back is not None,
        is_paused=evaluation.is_paused,
        is_within_tolerance=evaluation.is_within_tolerance,
        alerts=alerts(rollout, state, evaluation),
        missing=evaluation.missing,
        not_measured=without.not_measured,
        too_few=[one.name for one in without.too_few],
        point_other_way=[one.name for one in without.point_other_way],
        stage=_stage(rollout, state),
        quality=_quality(state, evaluation),
        thresholds=_thresholds(rollout, state),
        log_evidence={action: _finite(log) for action, log in evaluation.log_evidence.items()},
        evidence=[
            _evidence(rollout, state, result)
            for result in evaluation.results
            if result.check.is_guardrail
        ],
        stable=[
            _evidence(rollout, state, result)
            for result in evaluation.results
            if result.check.of_stable
        ],
        evaluators=[
            _evidence(rollout, state, result)
            for result in evaluation.results
            if result.check.of_evaluator
        ],
        partitions=state.versions("events"),
        feedback_partitions=state.versions("feedback"),
        evaluation_partitions=state.versions("evaluations"),
    )


def _time(epoch_ms: int) -> dt.datetime | None:
    return from_epoch_ms(epoch_ms) if epoch_ms else None


def _reasons(rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    if state.status.rolled_back is not None:
        return reasons_for_rollback(state.status.rolled_back, state, evaluation)
    if evaluation.verdict == "promote":
        return reasons_for_promotion(rollout, state, evaluation)
    return reasons_for_hold(rollout, state, evaluation)


def _stage(rollout: Rollout, state: RolloutState) -> decisions.StageProgress:
    index, totals = state.status.stage, state.stage.totals
    following = rollout.stages[index + 1].name if index + 1 < len(rollout.stages) else None
    return decisions.StageProgress(
        index=index,
        stage=rollout.stages[index],
        next=following,
        requests=totals.requests,
        duration_s=totals.duration_s,
        judged_share=state.stage.judged_share,
    )


def _quality(state: RolloutState, evaluation: Evaluation) -> decisions.DataQuality:
    quality = state.stage.quality
    return decisions.DataQuality(
        unmatched_share=quality.unmatched_share,
        late_share=quality.late_share,
        lost_stable_share=state.stage.lost_stable_share,
        lost_candidate_share=state.stage.lost_candidate_share,
        log_sample_ratio=quality.log_sample_ratio,
        breaches=list(evaluation.statistical.breaches),
    )


def _thresholds(rollout: Rollout, state: RolloutState) -> decisions.Thresholds:
    thresholds = thresholds_of(rollout, rollout.stages[state.status.stage])
    return decisions.Thresholds(
        false_rollback=thresholds.false_rollback,
        false_promotion=thresholds.false_promotion,
        log_rollback=thresholds.log_rollback,
        log_promotion=thresholds.log_promotion,
        max_unmatched_share=thresholds.max_unmatched_share,
        max_late_share=thresholds.max_late_share,
    )


def _evidence(rollout: Rollout, state: RolloutState, result: CheckResult) -> decisions.Evidence:
    check, evidence = result.check, result.evidence
    observed = check.test.observed(result.total)
    return decisions.Evidence(
        guardrail=check.name,
        metric=check.metric.name,
        evaluator=check.evaluator or msgspec.UNSET,
        slice=evidence.slice,
        action=check.action,
        limit=check.guardrail.limit,
        margin=check.value,
        relative=check.guardrail.relative,
        floor=check.guardrail.floor,
        unit="share" if check.metric.kind == "quantile" else check.metric.unit,
        required=evidence.required,
        status=_status(rollout, state, result),
        units=observed.units,
        units_closed=evidence.units,
        candidate=None if check.of_stable else check.own_value(observed.candidate),
        stable=check.own_value(observed.candidate if check.of_stable else observed.stable),
        harm=observed.harm,
        interval=(_finite(evidence.interval[0]), _finite(evidence.interval[1])),
        harm_margin=check.test.margin,
        note=_note(result, state),
        weight=evidence.weight,
        log_rollback=_finite(evidence.log_rollback),
        log_promotion=evidence.log_promotion,
        design_effect=result.design_effect,
        independent_units=int(observed.units / result.design_effect),
        statistics=_named(check, result.total),
    )


def _named(check: Check, statistics: FloatArray) -> dict[str, int | float]:
    named = zip(check.test.fields, statistics.tolist(), strict=True)
    return {name: int(value) if value.is_integer() else value for name, value in named if value}


def _note(result: CheckResult, state: RolloutState) -> str:
    check, slice_name = result.check, result.evidence.slice
    note = waiting(result, state)
    if check.metric.kind == "quality" and not check.of_evaluator:
        return note or order_note(result)
    if note or check.metric.kind != "quantile":
        return note
    if not check.is_tail:
        return f"share over {format_value('ms', check.value)}"
    buckets = state.tail_threshold(slice_name, check.metric.measure).buckets
    if not buckets:
        return ""
    stable_ms, candidate_ms = check.tail_limit_ms(buckets[str(check.metric.quantile)])
    candidate, stable = format_value("ms", candidate_ms), format_value("ms", stable_ms)
    return f"share over {candidate}, stable's over {stable}"


def _status(rollout: Rollout, state: RolloutState, result: CheckResult) -> decisions.EvidenceStatus:
    evidence = result.evidence
    thresholds = thresholds_of(rollout, rollout.stages[state.status.stage])
    if evidence.weighted >= thresholds.log_rollback:
        return "breach"
    if evidence.log_promotion >= thresholds.log_promotion:
        return "pass"
    return "waiting" if waiting(result, state) else "open"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
