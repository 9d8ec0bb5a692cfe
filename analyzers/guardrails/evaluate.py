"""Evaluate all evidence of a rollout under its policy: what should happen, and what is lacking.

The statistics of it are in `sequential.verdict`. The policy adds its actions, each with an error of
its own (evidence of the guardrails that roll back is summed apart from that of those that pause or
alert), what it requires, what is latched, and the stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

from understudy.analyzers.guardrails.apply_windows import slices_under_test
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evidence_state import EvidenceStart, EvidenceState
from understudy.analyzers.guardrails.slices import ALL, slice_name
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.statistics import AnyStatistics
from understudy.analyzers.sequential import (
    SliceEvidence,
    StatisticalVerdict,
    VerdictThresholds,
    reach_verdict,
)
from understudy.analyzers.sequential.weights import log_weighted_sum, weightiest
from understudy.schemas.decisions import Verdict
from understudy.schemas.rollouts import Action, Guardrail, Rollout, Stage

ENOUGH_MEASURED: Final = 100
"""Units from which a metric counts as measured at all, for `required: if_measured`."""
ANY_SLICE: Final = "any slice"
"""In `missing`, of a guardrail none of whose slices has turned up."""
INTERVAL_ALPHA: Final = 0.05
"""Doubt in the intervals shown, both ends together: 95 % is what readers expect."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check in a slice: its evidence now, and the state that it rests on."""

    check: Check
    evidence: SliceEvidence
    state: EvidenceState | None
    """None before any unit."""

    @property
    def total(self) -> AnyStatistics:
        """All units judged so far."""
        nothing: AnyStatistics = self.check.test.none()
        return self.state.total if self.state else nothing

    @property
    def newest(self) -> EvidenceStart | None:
        """The units of the newest windows, and since when."""
        return self.state.recent() if self.state else None

    @property
    def design_effect(self) -> float:
        """What divides new evidence, at least 1."""
        return self.state.overdispersion.factor if self.state else 1.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all evidence says together."""

    verdict: Verdict
    statistical: StatisticalVerdict
    """Of the guardrails that promotion waits for, before anything latched."""
    results: list[CheckResult]
    log_evidence: dict[Action, float]
    log_threshold: float
    """Log of the weighted evidence that an action takes."""
    evidence_rolls_back: bool
    evidence_pauses: bool
    is_rolled_back: bool
    """By the evidence now, or latched before."""
    is_paused: bool
    """Likewise."""
    missing: list[str] = field(default_factory=list)
    alerting: list[CheckResult] = field(default_factory=list)
    """What carries the evidence of the guardrails that alert, weightiest first."""

    def signature(self, stage: int) -> str:
        """Return what must change for another decision to be emitted."""
        alerts = sorted({result.check.name for result in self.alerting})
        flags = [self.is_rolled_back, self.is_paused]
        return repr([self.verdict, stage, flags, list(self.statistical.breaches), alerts])


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
    rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, *, with_intervals: bool
) -> Evaluation:
    """Return the verdict on the state. Intervals take time and change no verdict."""
    stage = rollout.stages[state.status.stage]
    results = [
        result
        for check in checks
        for result in _results(check, state, with_intervals=with_intervals)
    ]
    thresholds = thresholds_of(rollout, stage)
    statistical = reach_verdict(_for_promotion(results), state.stage.totals, thresholds)
    log_evidence: dict[Action, float] = {
        "rollback": statistical.log_evidence,
        "pause": _log_evidence(results, "pause"),
        "alert": _log_evidence(results, "alert"),
    }
    evidence_rolls_back = statistical.action == "rollback"
    evidence_pauses = log_evidence["pause"] >= thresholds.log_rollback
    is_rolled_back = evidence_rolls_back or state.status.rolled_back is not None
    is_paused = evidence_pauses or state.status.paused is not None
    missing = [
        *statistical.missing,
        *_without_slices(checks, results),
        *(["paused"] if is_paused else []),
    ]
    can_promote = not missing and not is_complete(rollout, state)
    verdict: Verdict = "promote" if can_promote else "hold"
    alerts = log_evidence["alert"] >= thresholds.log_rollback
    return Evaluation(
        verdict="rollback" if is_rolled_back else verdict,
        statistical=statistical,
        results=results,
        log_evidence=log_evidence,
        log_threshold=thresholds.log_rollback,
        evidence_rolls_back=evidence_rolls_back,
        evidence_pauses=evidence_pauses,
        is_rolled_back=is_rolled_back,
        is_paused=is_paused,
        missing=missing,
        alerting=weightiest_of(results, "alert", thresholds.log_rollback) if alerts else [],
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


def _log_evidence(results: Sequence[CheckResult], action: Action) -> float:
    return log_weighted_sum(r.evidence.weighted for r in results if r.check.action == action)


def _for_promotion(results: Sequence[CheckResult]) -> list[SliceEvidence]:
    """Return the evidence that promotion waits for.

    Guardrails that pause must pass too, but have no weight in the evidence for a rollback. One that
    is required nowhere must not block promotion, however many requests it has seen.
    """
    return [
        replace(
            result.evidence,
            weight=result.evidence.weight if result.check.action == "rollback" else 0.0,
            units=0 if result.check.guardrail.required == "none" else result.evidence.units,
            blocks=result.check.guardrail.required != "none",
        )
        for result in results
        if result.check.stops_promotion
    ]


def _results(check: Check, state: RolloutState, *, with_intervals: bool) -> Iterator[CheckResult]:
    slices = {
        name: (weight, state.find_evidence(name, check.name))
        for _, name, weight in slices_under_test((check,), state)
    }
    units = {
        name: check.test.units(of_check.closed) if of_check else 0
        for name, (_, of_check) in slices.items()
    }
    required = required_slices(check.guardrail, units)
    for name, (weight, of_check) in slices.items():
        evidence = _evidence(
            check, name, weight, of_check, units[name],
            is_required=name in required, with_interval=with_intervals,
        )  # fmt: skip
        yield CheckResult(check, evidence, of_check)


def _evidence(
    check: Check,
    name: str,
    weight: float,
    of_check: EvidenceState | None,
    units: int,
    *,
    is_required: bool,
    with_interval: bool,
) -> SliceEvidence:
    interval = (-math.inf, math.inf)
    if of_check and with_interval:
        interval = check.test.interval(
            of_check.total, of_check.interval_sums, of_check.rollback.scale, INTERVAL_ALPHA
        )
    return SliceEvidence(
        guardrail=check.name,
        slice=name,
        weight=weight,
        log_rollback=of_check.log_evidence("rollback") if of_check else -math.inf,
        log_promotion=of_check.log_evidence("promotion") if of_check else 0.0,
        units=units,
        margin=check.test.margin,
        required=is_required,
        interval=interval,
    )


def required_slices(guardrail: Guardrail, units: Mapping[str, int]) -> Set[str]:
    """Return the slices that must be shown harmless before promotion.

    `units` are those in closed windows, by slice that the guardrail covers so far. Where a
    guardrail does not test all requests together, the slices that it names count in their place,
    and without any those that turned up: one with few requests only while none has more, so that a
    stray language does not block for ever.
    """
    required, slices = guardrail.required, guardrail.slices
    if required == "every":
        return units.keys()
    if required == "none":
        return frozenset()
    if slices.all:
        together: Set[str] = {ALL}
    elif slices.named:
        together = {slice_name(one.language, one.workflow) for one in slices.named}
    else:
        together = units.keys()
    measured = {name for name in together if units[name] >= ENOUGH_MEASURED}
    if required == "if_measured":
        return measured
    return together if slices.all or slices.named else measured or together


def _without_slices(checks: Iterable[Check], results: Sequence[CheckResult]) -> list[str]:
    """Return what is required, and covers no slice yet: no language has turned up, for instance."""
    covered = {result.check.name for result in results}
    return [
        f"{check.name}/{ANY_SLICE}"
        for check in checks
        if check.stops_promotion
        and check.guardrail.required in ("all", "every")
        and check.name not in covered
    ]
