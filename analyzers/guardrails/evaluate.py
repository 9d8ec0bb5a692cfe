"""Judging: from all evidence of a rollout to a verdict.

Each action has an error of its own: the evidence of the guardrails that roll back is summed apart
from that of those that pause or alert.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from understudy.analyzers.guardrails.apply_windows import judged
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential import Bar, Finding, Verdict, judge
from understudy.analyzers.sequential.bets import log_sum_exp
from understudy.schemas.decisions import Verdict as VerdictName
from understudy.schemas.rollouts import Action, Rollout, Stage

ENOUGH_MEASURED = 100
"""Units from which something counts as measured."""
SHOWN_ALPHA = 0.05
"""Doubt in the intervals shown, both ends together."""


@dataclass(frozen=True, slots=True)
class Found:
    """A check, a slice and what was found there."""

    check: Check
    finding: Finding


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all evidence says together."""

    verdict: VerdictName
    promotion: Verdict
    found: list[Found]
    log_evidence: dict[Action, float]
    rolls_back: bool
    pauses: bool
    is_rolled_back: bool
    is_paused: bool
    missing: list[str] = field(default_factory=list)
    alarming: list[Found] = field(default_factory=list)
    """What the guardrails that alert are alarmed by, weightiest first."""

    def signature(self, stage: int) -> str:
        """What must change for another decision to be told."""
        alarms = sorted({found.check.name for found in self.alarming})
        flags = [self.is_rolled_back, self.is_paused]
        return repr([self.verdict, stage, flags, list(self.promotion.breaches), alarms])


def bar_of(rollout: Rollout, stage: Stage) -> Bar:
    """What evidence is held against in a stage."""
    return Bar(
        false_rollback=rollout.false_rollback,
        false_promotion=rollout.false_promotion,
        min_requests=stage.min_requests,
        min_duration_s=stage.min_duration_s,
        max_unmatched_share=rollout.max_unmatched_share,
        max_late_share=rollout.max_late_share,
    )


def judge_rollout(
    rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, *, with_intervals: bool
) -> Judgement:
    """The verdict on what the state holds. Intervals take time and change no verdict."""
    stage = rollout.stages[state.standing.stage]
    found = [
        Found(check, _finding(check, name, weight, state, with_intervals=with_intervals))
        for check, name, weight in judged(checks, state)
    ]
    bar = bar_of(rollout, stage)
    promotion = judge(_for_promotion(found), state.stage.progress, bar)
    logs = {action: _log_evidence(found, action) for action in ("rollback", "pause", "alert")}
    needed = -math.log(rollout.false_rollback)
    rolls_back, pauses = promotion.action == "rollback", logs["pause"] >= needed
    is_rolled_back = rolls_back or state.standing.rolled_back is not None
    is_paused = pauses or state.standing.paused is not None
    is_last = state.standing.stage + 1 == len(rollout.stages)
    missing = [*promotion.missing, *(["paused"] if is_paused else [])]
    verdict: VerdictName = "hold" if missing or is_last_and_whole(stage, is_last) else "promote"
    return Judgement(
        verdict="rollback" if is_rolled_back else verdict,
        promotion=promotion,
        found=found,
        log_evidence=logs,  # type: ignore[arg-type]
        rolls_back=rolls_back,
        pauses=pauses,
        is_rolled_back=is_rolled_back,
        is_paused=is_paused,
        missing=missing,
        alarming=weightiest(found, "alert") if logs["alert"] >= needed else [],
    )


def is_last_and_whole(stage: Stage, is_last: bool) -> bool:
    """Whether the candidate has all requests: there is nothing left to promote."""
    return is_last and stage.share >= 1.0


def weightiest(found: Sequence[Found], action: Action) -> list[Found]:
    """What carries the evidence of an action, weightiest first, down to a twentieth of the top."""
    some = [f for f in found if f.check.action == action and math.isfinite(f.finding.weighted)]
    some.sort(key=lambda f: -f.finding.weighted)
    return [f for f in some if f.finding.weighted >= some[0].finding.weighted - math.log(20.0)]


def _log_evidence(found: Sequence[Found], action: Action) -> float:
    weighted = [f.finding.weighted for f in found if f.check.action == action]
    return float(log_sum_exp(np.array(weighted))) if weighted else -math.inf


def _for_promotion(found: Sequence[Found]) -> list[Finding]:
    """Findings as the library's judge takes them: those that pause weigh nothing there.

    A guardrail that is required nowhere must not block either, however much it has seen.
    """
    return [
        replace(
            f.finding,
            weight=f.finding.weight if f.check.action == "rollback" else 0.0,
            requests=0 if f.check.guardrail.required == "none" else f.finding.requests,
        )
        for f in found
        if f.check.stops_promotion
    ]


def _finding(
    check: Check, name: str, weight: float, state: RolloutState, *, with_intervals: bool
) -> Finding:
    weighing = state.slices.get(name, {}).get(check.name)
    if weighing is None:
        return Finding(
            check.name, name, weight, -math.inf, 0.0, 0, check.test.margin,
            required=is_required(check, name, 0),
        )  # fmt: skip
    interval = (-math.inf, math.inf)
    if with_intervals:
        interval = check.test.interval(
            weighing.total, weighing.shown, weighing.rollback.scale, SHOWN_ALPHA
        )
    closed = check.test.units(weighing.closed)
    return Finding(
        guardrail=check.name,
        slice=name,
        weight=weight,
        log_rollback=weighing.log_evidence("rollback"),
        log_promotion=weighing.log_evidence("promotion"),
        requests=closed,
        margin=check.test.margin,
        required=is_required(check, name, closed),
        interval=interval,
    )


def is_required(check: Check, name: str, units: int) -> bool:
    """Whether a slice must be shown harmless before promotion."""
    required = check.guardrail.required
    if required == "every":
        return True
    if required == "none" or name != ALL:
        return False
    return required == "all" or units >= ENOUGH_MEASURED
