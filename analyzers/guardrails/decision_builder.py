"""Telling: the decision record made of a judgement and the state it rests on."""

from __future__ import annotations

import math

from msgspec.structs import astuple

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import Found, Judgement, bar_of
from understudy.analyzers.guardrails.evidence import Mark
from understudy.analyzers.guardrails.explanations import (
    alerts,
    natural,
    own_value,
    reasons_for_hold,
    tail_times,
    waiting,
)
from understudy.analyzers.guardrails.state import RolloutState
from understudy.schemas import decisions
from understudy.schemas.decisions import Decision
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.rollouts import Rollout


def tell(
    rollout: Rollout,
    checks: tuple[Check, ...],
    state: RolloutState,
    judgement: Judgement,
    *,
    is_refresh: bool,
) -> Decision:
    """The decision, with everything that it takes to compute it again."""
    standing = state.standing
    stage = rollout.stages[standing.stage]
    since_ms = standing.verdict_since_ms
    if standing.rolled_back is not None:
        since_ms = standing.rolled_back.since_ms
    return Decision(
        rollout_id=rollout.rollout_id,
        policy_hash=state.policy_hash,
        is_refresh=is_refresh,
        verdict=judgement.verdict,
        reasons=_reasons(rollout, state, judgement),
        decided_at=from_epoch_ms(standing.now_ms),
        since=from_epoch_ms(since_ms),
        candidate_share=0.0 if judgement.is_rolled_back else stage.share,
        is_latched=standing.rolled_back is not None,
        is_paused=judgement.is_paused,
        is_within_tolerance=judgement.promotion.within_tolerance,
        alerts=alerts(rollout, state, judgement),
        missing=judgement.missing,
        stage=_stage(rollout, state),
        quality=_quality(state, judgement),
        bounds=_bounds(rollout, state),
        log_evidence={action: _finite(log) for action, log in judgement.log_evidence.items()},
        evidence=[_evidence(rollout, state, found) for found in judgement.found],
        partitions=state.versions("events"),
        feedback_partitions=state.versions("feedback"),
    )


def _reasons(rollout: Rollout, state: RolloutState, judgement: Judgement) -> list[str]:
    if state.standing.rolled_back is not None:
        return list(state.standing.rolled_back.reasons)
    if judgement.verdict == "promote":
        stage = rollout.stages[state.standing.stage]
        progress = state.stage.progress
        return [
            f"every required guardrail is shown to be within its limit after "
            f"{progress.requests:,} requests in stage {stage.name}".replace(",", " ")
        ]
    return reasons_for_hold(rollout, state, judgement)


def _stage(rollout: Rollout, state: RolloutState) -> decisions.StageProgress:
    index, progress = state.standing.stage, state.stage.progress
    following = rollout.stages[index + 1].name if index + 1 < len(rollout.stages) else None
    return decisions.StageProgress(
        index=index,
        stage=rollout.stages[index],
        next=following,
        requests=progress.requests,
        duration_s=progress.duration_s,
    )


def _quality(state: RolloutState, judgement: Judgement) -> decisions.DataQuality:
    quality = state.stage.quality
    return decisions.DataQuality(
        unmatched_share=quality.unmatched_share,
        late_share=quality.late_share,
        log_sample_ratio=quality.log_sample_ratio,
        breaches=list(judgement.promotion.breaches),
    )


def _bounds(rollout: Rollout, state: RolloutState) -> decisions.Bounds:
    bar = bar_of(rollout, rollout.stages[state.standing.stage])
    return decisions.Bounds(
        false_rollback=bar.false_rollback,
        false_promotion=bar.false_promotion,
        log_rollback=-math.log(bar.false_rollback),
        log_promotion=-math.log(bar.false_promotion),
        max_unmatched_share=bar.max_unmatched_share,
        max_late_share=bar.max_late_share,
    )


def _evidence(rollout: Rollout, state: RolloutState, found: Found) -> decisions.Evidence:
    check, finding = found.check, found.finding
    weighing = state.slices.get(finding.slice, {}).get(check.name)
    total = weighing.total if weighing else check.test.none()
    recent = weighing.recent() if weighing else Mark(-1, check.test.none())
    seen = check.test.observed(total)
    return decisions.Evidence(
        guardrail=check.name,
        metric=check.metric.name,
        slice=finding.slice,
        action=check.action,
        limit=check.guardrail.limit,
        margin=check.value,
        relative=check.guardrail.relative,
        unit="share" if check.metric.kind == "quantile" else check.metric.unit,
        required=finding.required,
        standing=_standing(rollout, state, found),
        units=seen.units,
        units_closed=finding.requests,
        candidate=own_value(check, seen.candidate),
        stable=own_value(check, seen.stable),
        harm=seen.harm,
        interval=(_finite(finding.interval[0]), _finite(finding.interval[1])),
        harm_margin=check.test.margin,
        note=_note(check, finding.slice, state),
        weight=finding.weight,
        log_rollback=_finite(finding.log_rollback),
        log_promotion=finding.log_promotion,
        phi=weighing.phi.phi if weighing else 1.0,
        counts=list(astuple(total)),
        counts_recent=list(astuple(recent.total)),
        recent_since=from_epoch_ms(recent.since_ms) if recent.since_ms >= 0 else None,
    )


def _note(check: Check, name: str, state: RolloutState) -> str:
    note = waiting(check, name, state)
    if note:
        return note
    if check.metric.kind == "quantile" and not check.is_tail:
        return f"share over {natural(check, check.value)}"
    times = tail_times(check, name, state) if check.is_tail else None
    if times is None:
        return ""
    return f"share over {natural(check, times[1])}, stable's over {natural(check, times[0])}"


def _standing(rollout: Rollout, state: RolloutState, found: Found) -> decisions.Standing:
    finding = found.finding
    if finding.weighted >= -math.log(rollout.false_rollback):
        return "breach"
    if finding.log_promotion >= -math.log(rollout.false_promotion):
        return "pass"
    return "waiting" if waiting(found.check, finding.slice, state) else "open"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
