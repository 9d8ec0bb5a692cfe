"""How far a decision's evidence has grown, slice by slice and towards promotion. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.terminal.evidence_table import multiple, rollback_multiple


@dataclass(frozen=True, slots=True)
class Stake:
    """Evidence of harm, as a multiple of what a rollback needs."""

    multiple: float
    growth: float
    """Share of the way from evidence 1, which says nothing, to a rollback; on a log scale."""
    is_suspicious: bool
    """Whether it would keep a rollout from promotion by itself."""
    metric: str = ""
    """Of the guardrail that carries most of it; empty while it says nothing."""


@dataclass(frozen=True, slots=True)
class Proof:
    """How far the evidence for promotion has come."""

    proven: int
    required: int
    """Guardrails in slices that must be shown to be within their limits."""
    share: float
    """The least of requests, duration and required evidence as shares of what is needed."""


def overall(decision: Decision) -> Stake:
    """All evidence for a rollback together."""
    log_evidence = decision.log_evidence.get("rollback")
    return _stake(decision, multiple(log_evidence, decision.bounds.log_rollback),
                  weightiest(decision))  # fmt: skip


def by_slice(decision: Decision) -> dict[str, Stake]:
    """Evidence for a rollback in each slice that is looked at."""
    slices: dict[str, list[Evidence]] = {}
    for one in decision.evidence:
        if one.action == "rollback":
            slices.setdefault(one.slice, []).append(one)
    return {
        name: _stake(
            decision,
            sum(rollback_multiple(one, decision) for one in found),
            max(found, key=lambda one: rollback_multiple(one, decision)),
        )
        for name, found in slices.items()
    }


def weightiest(decision: Decision) -> Evidence | None:
    """What carries most of the evidence for a rollback."""
    found = [one for one in decision.evidence if rollback_multiple(one, decision) > 0.0]
    return max(found, key=lambda one: rollback_multiple(one, decision), default=None)


def proof(decision: Decision) -> Proof:
    """What of promotion is done."""
    stage, needed = decision.stage, decision.bounds.log_promotion
    required = [one for one in decision.evidence if one.required]
    shares = [
        stage.requests / stage.stage.min_requests,
        stage.duration_s / stage.stage.min_duration_s if stage.stage.min_duration_s else 1.0,
        *(one.log_promotion / needed for one in required),
    ]
    proven = sum(one.log_promotion >= needed for one in required)
    return Proof(proven, len(required), _clipped(min(shares)))


def _stake(decision: Decision, of_bar: float, most: Evidence | None) -> Stake:
    log_bar = decision.bounds.log_rollback
    log_evidence = math.log(of_bar) + log_bar if of_bar > 0.0 else -math.inf
    growth = _clipped(log_evidence / log_bar)
    return Stake(
        of_bar,
        growth,
        log_evidence >= decision.bounds.log_promotion,
        most.metric if most is not None and growth > 0.0 else "",
    )


def _clipped(share: float) -> float:
    return min(1.0, max(0.0, share))
