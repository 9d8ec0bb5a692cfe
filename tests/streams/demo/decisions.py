"""Decisions as the demo gets them, made up, with what matters as an argument."""

from __future__ import annotations

import datetime as dt
import math

from understudy.schemas.decisions import (
    DataQuality,
    Decision,
    Evidence,
    StageProgress,
    Thresholds,
    Verdict,
)
from understudy.schemas.rollouts import Action, Stage

AT = dt.datetime(2026, 11, 3, 12, 10, tzinfo=dt.UTC)
REASON = "JSON validity in `zh-Hans` fell 6.1 points, limit 0.5 points; 1,840 pairs"
SHADOW = Stage("shadow", "shadow", 0.0, 8_000, 360.0)


def evidence(
    slice_name: str = "language:zh-Hans",
    log_rollback: float | None = 0.0,
    *,
    metric: str = "json_valid_rate",
    weight: float = 0.1,
    action: Action = "rollback",
    required: bool = False,
    log_promotion: float = 0.0,
) -> Evidence:
    """One guardrail in one slice."""
    return Evidence(
        guardrail=metric,
        metric=metric,
        slice=slice_name,
        action=action,
        limit="max_increase",
        margin=0.005,
        relative=False,
        unit="share",
        required=required,
        status="open",
        units=1_840,
        units_closed=1_500,
        candidate=None,
        stable=None,
        harm=0.061,
        interval=(0.02, 0.1),
        harm_margin=0.005,
        weight=weight,
        log_rollback=log_rollback,
        log_promotion=log_promotion,
        design_effect=1.0,
        independent_units=1_840,
        statistics={"pairs": 1_700, "stable_only": 10, "candidate_only": 130},
    )


def decision(
    verdict: Verdict = "hold",
    *found: Evidence,
    reasons: tuple[str, ...] = (REASON,),
    requests: int = 4_000,
    duration_s: float = 180.0,
    since: dt.datetime = AT,
) -> Decision:
    """A decision whose evidence for rollback is what `found` sums up to."""
    logs = [
        one.log_rollback + math.log(one.weight) for one in found if one.log_rollback is not None
    ]
    return Decision(
        rollout_id="checkout-assistant-2026-11",
        policy_hash="0",
        verdict=verdict,
        reasons=list(reasons),
        decided_at=since,
        since=since,
        candidate_share=0.0,
        is_latched=verdict == "rollback",
        is_paused=False,
        is_within_tolerance=False,
        alerts=[],
        missing=[],
        stage=StageProgress(
            index=0, stage=SHADOW, next="1%", requests=requests, duration_s=duration_s
        ),
        quality=DataQuality(unmatched_share=0.0, late_share=0.0, log_sample_ratio=0.0, breaches=[]),
        thresholds=Thresholds(
            false_rollback=0.01,
            false_promotion=0.05,
            log_rollback=math.log(100),
            log_promotion=math.log(20),
            max_unmatched_share=0.05,
            max_late_share=0.05,
        ),
        log_evidence={"rollback": math.log(sum(map(math.exp, logs))) if logs else None},
        evidence=list(found),
        partitions={0: 1},
    )


def at_multiple(multiple: float, weight: float = 0.1) -> float:
    """Log evidence that is so many times what a rollback needs."""
    return math.log(100 * multiple / weight)


SUSPICIOUS = decision(
    "hold",
    evidence("all", 0.0, metric="error_rate", required=True, log_promotion=math.log(20)),
    evidence("language:zh-Hans", at_multiple(0.31)),
    evidence("language:en", -3.0),
    reasons=("4,000 of 8,000 requests in closed windows", f"harm is suspected: {REASON}"),
)
ROLLED_BACK = decision(
    "rollback",
    evidence("all", 0.0, metric="error_rate", required=True),
    evidence("language:zh-Hans", at_multiple(4.2)),
    evidence("language:en", -3.0),
)
PROMOTED = decision(
    "promote",
    evidence("all", -5.0, metric="error_rate", required=True, log_promotion=5.0),
    evidence("language:zh-Hans", -5.0),
    reasons=("every required guardrail is shown to be within its limit",),
    requests=9_000,
    duration_s=400.0,
)
