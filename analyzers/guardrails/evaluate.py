"""Evaluate all evidence of a rollout under its policy: what should happen, and what is lacking.

The statistics of it are in `sequential.verdict`. The policy adds its actions, each with an error of
its own (evidence of the guardrails that roll back is summed apart from that of those that pause or
alert), what it requires, what is latched, and the stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.look import CheckLook, Look, intervals, look
from understudy.analyzers.guardrails.measured import StageRequests, required_slices
from understudy.analyzers.guardrails.slices import MIRRORED_MODE, is_mirrored, unmirrored
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential import (
    EvidenceColumns,
    StatisticalVerdict,
    VerdictThresholds,
    reach_verdict,
)
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.weights import weighted_log_evidence, weightiest
from understudy.schemas.decisions import Verdict
from understudy.schemas.rollouts import Action, Rollout, Stage

ANY_SLICE: Final = "any slice"
"""In `missing`, of a guardrail none of whose slices has turned up."""
INTERVAL_ALPHA: Final = 0.05
"""Doubt in the intervals shown, both ends together: 95 % is what readers expect."""
UNBOUNDED: Final = (-math.inf, math.inf)
Waiting = Literal["reference", "windows", "measurement", "scale", "other_arm"]
"""Why a check has no evidence in a slice yet: stable's quantile is not known; it is, and no window
after it has come; nothing was measured; too few units to know a variance; one arm had none."""


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """The evidence of one guardrail in one slice.

    `log_rollback` and `log_promotion` are natural logs of evidence. `required` slices must pass
    before promotion; others must pass once they have enough units. `interval` and `margin` are
    in the units of the harm.
    """

    guardrail: str
    slice: str
    weight: float
    log_rollback: float
    log_promotion: float
    units: int
    """In folded windows since the stage began."""
    margin: float
    required: bool = True
    interval: tuple[float, float] = UNBOUNDED

    @property
    def weighted(self) -> float:
        """Log of weight times rollback evidence; -inf without weight."""
        return weighted_log_evidence(self.log_rollback, self.weight)

    @property
    def tolerated(self) -> bool:
        """Whether the harm is real but within the margin: the interval lies in (0, margin)."""
        return self.interval[0] > 0.0 and self.interval[1] < self.margin


class Newest(NamedTuple):
    """The units of the newest windows, chosen by time alone, and the start of the first."""

    window_ms: int
    statistics: FloatArray


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check in a slice: its evidence now, and what it rests on."""

    check: Check
    evidence: SliceEvidence
    total: FloatArray
    """(k,) all units judged so far, see `column_readers`."""
    newest: Newest | None
    """None before any window."""
    design_effect: float
    """What divides new evidence, at least 1."""
    waiting: Waiting | None
    """Why there is no evidence yet; None where there is."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all evidence says together."""

    verdict: Verdict
    statistical: StatisticalVerdict
    """Of the guardrails that promotion waits for, before anything latched."""
    results: list[CheckResult]
    """Of all checks in all slices; empty unless asked for."""
    log_evidence: dict[Action, float]
    log_threshold: float
    """Log of the weighted evidence that an action takes."""
    log_promotion: float
    """Log of the evidence that promotion takes of each required guardrail."""
    evidence_rolls_back: bool
    evidence_pauses: bool
    is_rolled_back: bool
    """By the evidence now, or latched before."""
    is_paused: bool
    """Likewise."""
    missing: list[str] = field(default_factory=list)
    alerting_checks: list[str] = field(default_factory=list)
    """Names of those that carry the evidence of the guardrails that alert."""
    changed_models: list[str] = field(default_factory=list)
    """Sides that answer with another model than when the stage began."""

    @property
    def alerting(self) -> list[CheckResult]:
        """What carries the evidence of the guardrails that alert, weightiest first."""
        if not self.alerting_checks:
            return []
        return weightiest_of(self.results, "alert", self.log_threshold)

    @property
    def is_within_tolerance(self) -> bool:
        """Whether some slice is worse beyond doubt, yet within its margin."""
        return any(
            result.evidence.tolerated for result in self.results if not result.check.of_evaluator
        )

    def signature(self, stage: int) -> str:
        """Return what must change for another decision to be emitted."""
        flags = [self.is_rolled_back, self.is_paused]
        breaches = list(self.statistical.breaches)
        alerts = [*sorted(self.alerting_checks), *self.changed_models]
        return repr([self.verdict, stage, flags, breaches, alerts])


def thresholds_of(rollout: Rollout, stage: Stage) -> VerdictThresholds:
    """Return what evidence is held against in a stage."""
    return VerdictThresholds(
        false_rollback=rollout.false_rollback,
        false_promotion=rollout.false_promotion,
        min_requests=stage.min_requests,
        min_duration_s=stage.min_duration_s,
        max_unmatched_share=rollout.max_unmatched_share,
        max_late_share=rollout.max_late_share,
    )


def evaluate(
    rollout: Rollout, state: RolloutState, *, with_results: bool, seen: Look | None = None
) -> Evaluation:
    """Return the verdict on the state. Results, with their intervals, take time.

    Who knows what a look shows gives what was `seen`.
    """
    seen = seen or look(rollout, state)
    thresholds = thresholds_of(rollout, rollout.stages[state.status.stage])
    requests = StageRequests(state.stage.requests, thresholds.min_requests)
    stage = rollout.stages[state.status.stage]
    mirrors = rollout.mirrors
    required = [_required(one, requests, stage, mirrors=mirrors) for one in seen.checks]
    statistical = reach_verdict(
        seen.log_evidence["rollback"],
        _for_promotion(seen, required),
        state.stage.totals,
        thresholds,
    )
    evidence_rolls_back = statistical.action == "rollback"
    evidence_pauses = seen.log_evidence["pause"] >= thresholds.log_rollback
    is_rolled_back = evidence_rolls_back or state.status.rolled_back is not None
    is_paused = evidence_pauses or state.status.paused is not None
    missing = [
        *statistical.missing,
        *_without_slices(seen),
        *(["paused"] if is_paused else []),
    ]
    can_promote = not missing and not is_complete(rollout, state)
    verdict: Verdict = "promote" if can_promote else "hold"
    alerts = seen.log_evidence["alert"] >= thresholds.log_rollback
    return Evaluation(
        verdict="rollback" if is_rolled_back else verdict,
        statistical=statistical,
        results=list(_results(state, seen, required)) if with_results else [],
        log_evidence=seen.log_evidence,
        log_threshold=thresholds.log_rollback,
        log_promotion=thresholds.log_promotion,
        evidence_rolls_back=evidence_rolls_back,
        evidence_pauses=evidence_pauses,
        is_rolled_back=is_rolled_back,
        is_paused=is_paused,
        missing=missing,
        alerting_checks=_alerting_checks(seen, thresholds.log_rollback) if alerts else [],
        changed_models=list(state.stage.changed_models),
    )


def is_complete(rollout: Rollout, state: RolloutState) -> bool:
    """Return whether the candidate has all requests: there is nothing left to promote."""
    is_last = state.status.stage + 1 == len(rollout.stages)
    return is_last and rollout.stages[state.status.stage].share >= 1.0


def weightiest_of(
    results: Sequence[CheckResult], action: Action, log_threshold: float = math.inf
) -> list[CheckResult]:
    """Return what carries the evidence for an action, weightiest first.

    What is past the threshold by itself belongs to it, however much weightier something else is.
    """
    of_action = [result for result in results if result.check.action == action]
    carrying = weightiest(of_action, lambda result: result.evidence.weighted)
    beyond = [one for one in of_action if one.evidence.weighted >= log_threshold]
    rest = [one for one in beyond if one not in carrying]
    return carrying + sorted(rest, key=lambda one: -one.evidence.weighted)


def _alerting_checks(seen: Look, log_threshold: float) -> list[str]:
    """Return which checks `Evaluation.alerting` has, without any of its sentences."""
    weighted = [
        (one.check.name, weighted_log_evidence(log, weight))
        for one in seen.checks
        if one.check.action == "alert"
        for log, weight in zip(one.log_rollback.tolist(), one.weights.tolist(), strict=True)
    ]
    carrying = weightiest(weighted, lambda pair: pair[1])
    beyond = [pair for pair in weighted if pair[1] >= log_threshold]
    return sorted({name for name, _ in carrying + beyond})


def _for_promotion(seen: Look, required: Sequence[FloatArray]) -> EvidenceColumns:
    """Return the evidence that promotion waits for.

    Guardrails that pause must pass too. One that is required nowhere must not block promotion,
    however many requests it has seen.
    """
    waited_for = [
        (one, needed)
        for one, needed in zip(seen.checks, required, strict=True)
        if one.check.stops_promotion
    ]
    nothing = np.zeros(0)
    blocks = [
        np.full(len(one.slices), one.check.guardrail.required != "none") for one, _ in waited_for
    ]
    units = [one.units_closed * some for (one, _), some in zip(waited_for, blocks, strict=True)]
    return EvidenceColumns(
        names=[name for one, _ in waited_for for name in one.names],
        log_rollback=np.concatenate([nothing, *(one.log_alone for one, _ in waited_for)]),
        log_promotion=np.concatenate([nothing, *(one.log_promotion for one, _ in waited_for)]),
        units=np.concatenate([nothing, *units]),
        required=np.concatenate([nothing, *(needed for _, needed in waited_for)]) > 0.0,
        blocks=np.concatenate([nothing, *blocks]) > 0.0,
    )


def _required(
    one: CheckLook, requests: StageRequests, stage: Stage, *, mirrors: bool
) -> FloatArray:
    """Return 1 for the slices of a check that must be shown harmless before promotion, 0 else.

    Where mirrored requests have slices of their own, those are asked in a stage that serves the
    candidate to nobody, and about what pairs alone can say.
    """
    asks_mirrored = mirrors and (
        stage.mode == MIRRORED_MODE or (stage.mirror > 0.0 and one.check.metric.is_of_pairs)
    )
    names: Sequence[str | None] = one.slices  # none is mirrored where the policy mirrors nothing
    if mirrors:
        names = [
            unmirrored(name) if is_mirrored(name) == asks_mirrored else None for name in one.slices
        ]
    closed = one.units_closed.tolist()
    units = {name: n for name, n in zip(names, closed, strict=True) if name is not None}
    required = required_slices(one.check.guardrail, units, requests)
    return np.array([float(name in required) for name in names])


def _results(
    state: RolloutState, seen: Look, required: Sequence[FloatArray]
) -> Iterator[CheckResult]:
    found = intervals(seen.checks, INTERVAL_ALPHA)
    for one, needed, of_check in zip(seen.checks, required, found, strict=True):
        since_ms, ends = one.newest_since_ms, of_check.tolist()
        for place, name in enumerate(one.slices):
            newest = None if since_ms < 0 else Newest(since_ms, one.newest[place])
            yield CheckResult(
                check=one.check,
                evidence=_evidence(one, place, ends[place], bool(needed[place])),
                total=one.total[place],
                newest=newest,
                design_effect=float(one.design_effect[place]),
                waiting=_waiting(state, one, place, name),
            )


def _evidence(
    one: CheckLook, place: int, interval: Sequence[float], is_required: bool
) -> SliceEvidence:
    low, high = interval if one.total[place].any() else UNBOUNDED
    return SliceEvidence(
        guardrail=one.check.name,
        slice=one.slices[place],
        weight=float(one.weights[place]),
        log_rollback=float(one.log_rollback[place]),
        log_promotion=float(one.log_promotion[place]),
        units=int(one.units_closed[place]),
        margin=one.check.test.margin,
        required=is_required,
        interval=(low, high),
    )


def _waiting(state: RolloutState, one: CheckLook, place: int, name: str) -> Waiting | None:
    """Return why a check has no evidence in a slice yet."""
    has_units = bool(one.total[place].any())
    if one.check.is_tail and not has_units:
        is_known = state.tail_threshold(name, one.check.metric.measure).entries
        return "windows" if is_known else "reference"
    if not has_units:
        return "measurement"
    if one.waits_for_scale(place):
        return "scale"
    return "other_arm" if one.waits_for_other_arm(place) else None


def _without_slices(seen: Look) -> list[str]:
    """Return what is required, and covers no slice yet: no language has turned up, for instance."""
    return [
        f"{one.check.name}/{ANY_SLICE}"
        for one in seen.checks
        if one.check.stops_promotion
        and one.check.guardrail.required in ("all", "every")
        and not one.slices
    ]
