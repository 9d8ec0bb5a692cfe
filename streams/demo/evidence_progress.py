"""How far a decision's evidence has grown, slice by slice and towards promotion. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.analyzers.guardrails.evidence_figures import multiple, rollback_multiple
from understudy.schemas.decisions import Decision, Evidence


@dataclass(frozen=True, slots=True)
class HarmEvidence:
    """Evidence of harm, as a multiple of what a rollback needs."""

    multiple: float
    growth: float
    """Share of the way from evidence 1, which says nothing, to a rollback; on a log scale."""
    is_suspicious: bool
    """Whether it alone would prevent a promotion."""
    metric: str = ""
    """Of the guardrail that carries most of it; empty while it says nothing."""


@dataclass(frozen=True, slots=True)
class PromotionProgress:
    """How far the evidence for promotion has come."""

    proven: int
    required: int
    """Guardrails, by slice, that must be shown to be within their limits."""
    share: float
    """The least of requests, duration and required evidence as shares of what is needed."""


def overall_harm(decision: Decision) -> HarmEvidence:
    """All evidence for a rollback together."""
    log_evidence = decision.log_evidence.get("rollback")
    return _harm_evidence(decision, multiple(log_evidence, decision.thresholds.log_rollback),
                  weightiest_evidence(decision))  # fmt: skip


def harm_by_slice(decision: Decision) -> dict[str, HarmEvidence]:
    """Evidence for a rollback in each slice that a guardrail judges."""
    slices: dict[str, list[Evidence]] = {}
    for one in decision.evidence:
        if one.action == "rollback":
            slices.setdefault(one.slice, []).append(one)
    return {
        name: _harm_evidence(
            decision,
            sum(rollback_multiple(one, decision) for one in found),
            max(found, key=lambda one: rollback_multiple(one, decision)),
        )
        for name, found in slices.items()
    }


def weightiest_evidence(decision: Decision) -> Evidence | None:
    """The row that carries most of the evidence for a rollback."""
    found = [one for one in decision.evidence if rollback_multiple(one, decision) > 0.0]
    return max(found, key=lambda one: rollback_multiple(one, decision), default=None)


def promotion_progress(decision: Decision) -> PromotionProgress:
    """How far a promotion has come."""
    stage, needed = decision.stage, decision.thresholds.log_promotion
    required = [one for one in decision.evidence if one.required]
    shares = [
        stage.requests / stage.stage.min_requests,
        stage.duration_s / stage.stage.min_duration_s if stage.stage.min_duration_s else 1.0,
        *(one.log_promotion / needed for one in required),
    ]
    proven = sum(one.log_promotion >= needed for one in required)
    return PromotionProgress(proven, len(required), _clipped(min(shares)))


def _harm_evidence(decision: Decision, share: float, most: Evidence | None) -> HarmEvidence:
    log_threshold = decision.thresholds.log_rollback
    log_evidence = math.log(share) + log_threshold if share > 0.0 else -math.inf
    growth = _clipped(log_evidence / log_threshold)
    return HarmEvidence(
        share,
        growth,
        log_evidence >= decision.thresholds.log_promotion,
        most.metric if most is not None and growth > 0.0 else "",
    )


def _clipped(share: float) -> float:
    return min(1.0, max(0.0, share))
