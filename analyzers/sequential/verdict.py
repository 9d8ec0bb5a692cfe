"""From evidence to a verdict: rollback, promote or hold, with what it rests on.

This is the statistics of a verdict alone. Rollback needs one sum: the weighted evidence over
guardrails and slices. Promotion needs every required guardrail to be shown harmless, enough
requests and time, and data that can be trusted. Everything else holds. Latching a rollback, pausing
and moving along the stages are the policy's, see `guardrails.evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD
from understudy.analyzers.sequential.weights import log_weighted_sum, weighted_log_evidence

VerdictAction = Literal["rollback", "hold", "promote"]

SUSPECTED_HARM: Final = "suspected_harm"
"""In `missing`: weighted evidence of all together; with `/guardrail/slice`, that of one slice."""
LOG_SUSPICION: Final = math.log(5.0)
"""Log of the unweighted rollback evidence from which a slice blocks promotion. Simulated with equal
models, nine guardrails and 30 languages, some slice reaches it in at most 0.6 % of looks at base
rates up to 5 %, in 3 % at 10 %; a language of 6 % of the traffic that falls from 99 to 95 % is
above it after an hour at 10 requests/s in all of 1 000 rollouts."""


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """The evidence of one guardrail in one slice.

    `log_rollback` and `log_promotion` are natural logs of evidence. `required` slices must pass
    before promotion; others must pass once they have enough units. Where it `blocks`, suspicion of
    harm in this slice alone is enough to wait. `interval` and `margin` are
    in the units of the harm and serve `within_tolerance` alone.
    """

    guardrail: str
    slice: str
    weight: float
    log_rollback: float
    log_promotion: float
    units: int
    margin: float
    required: bool = True
    blocks: bool = True
    interval: tuple[float, float] = (-math.inf, math.inf)

    @property
    def weighted(self) -> float:
        """Log of weight times rollback evidence; -inf without weight."""
        return weighted_log_evidence(self.log_rollback, self.weight)

    @property
    def tolerated(self) -> bool:
        """Whether the harm is real but within the margin: the interval lies in (0, margin)."""
        return self.interval[0] > 0.0 and self.interval[1] < self.margin


@dataclass(frozen=True, slots=True)
class VerdictThresholds:
    """How much a verdict takes. `false_rollback` and `false_promotion` are tolerated chances."""

    false_rollback: float = 0.01
    false_promotion: float = 0.05
    min_requests: int = 5_000
    min_duration_s: float = 0.0
    max_unmatched_share: float = 0.05
    max_late_share: float = 0.05

    def __post_init__(self) -> None:
        if not (0.0 < self.false_rollback < 1.0 and 0.0 < self.false_promotion < 1.0):
            raise ValueError("tolerated chances of a false verdict lie between 0 and 1")

    @property
    def log_rollback(self) -> float:
        """Log of the weighted evidence that a rollback takes."""
        return -math.log(self.false_rollback)

    @property
    def log_promotion(self) -> float:
        """Log of the evidence that promotion takes of each required guardrail."""
        return -math.log(self.false_promotion)


@dataclass(frozen=True, slots=True)
class QualityMeasures:
    """What could make the data lie: sides without partner, late ones, shares not as planned."""

    unmatched_share: float = 0.0
    late_share: float = 0.0
    log_sample_ratio: float = 0.0

    def breaches(self, thresholds: VerdictThresholds) -> tuple[str, ...]:
        """Return which limits are broken; a sample ratio breach is for the caller to latch."""
        checks = {
            "unmatched_share": self.unmatched_share > thresholds.max_unmatched_share,
            "late_share": self.late_share > thresholds.max_late_share,
            "sample_ratio": self.log_sample_ratio >= LOG_THRESHOLD,
        }
        return tuple(name for name, broken in checks.items() if broken)


@dataclass(frozen=True, slots=True)
class StageTotals:
    """How far the present stage has come."""

    requests: int
    duration_s: float
    quality: QualityMeasures = field(default_factory=QualityMeasures)


@dataclass(frozen=True, slots=True)
class StatisticalVerdict:
    """What the evidence allows, and what it lacks.

    `missing` says what promotion still lacks, and `breaches` which limits of data quality are
    broken. `log_evidence` is the log of the weighted sum.
    """

    action: VerdictAction
    log_evidence: float
    missing: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()
    within_tolerance: bool = False


def reach_verdict(
    evidence: Sequence[SliceEvidence], totals: StageTotals, thresholds: VerdictThresholds
) -> StatisticalVerdict:
    """Return the verdict on all evidence of a rollout at one look.

    Rollback: the weighted sum of rollback evidence reaches 1 / `false_rollback`; valid under any
    dependence between slices (Wang and Ramdas, 2022, on averages of e-values). Broken data quality
    never stops a rollback, only a promotion. Raises ValueError when the weights sum to more than 1.
    """
    if math.fsum(one.weight for one in evidence) > 1.0 + 1e-9:
        raise ValueError("the weights of all evidence sum to more than 1")
    log_evidence = log_weighted_sum(one.weighted for one in evidence)
    breaches = totals.quality.breaches(thresholds)
    within = any(one.tolerated for one in evidence)
    if log_evidence >= thresholds.log_rollback:
        return StatisticalVerdict("rollback", log_evidence, (), breaches, within)
    missing = _missing(evidence, log_evidence, totals, thresholds) + breaches
    action: VerdictAction = "hold" if missing else "promote"
    return StatisticalVerdict(action, log_evidence, missing, breaches, within)


def _missing(
    evidence: Sequence[SliceEvidence],
    log_evidence: float,
    totals: StageTotals,
    thresholds: VerdictThresholds,
) -> tuple[str, ...]:
    """What keeps a rollout from promotion, data quality apart; empty when nothing does."""
    needed = thresholds.log_promotion
    checks = [
        ("guardrails", not any(one.required for one in evidence)),
        ("requests", totals.requests < thresholds.min_requests),
        ("duration", totals.duration_s < thresholds.min_duration_s),
        # Suspected harm, though not enough for a rollback, is no moment to send more requests.
        (SUSPECTED_HARM, log_evidence >= needed),
    ]
    # Waiting costs no error of a rollback, so a small language needs no weight to ask for it.
    suspected = [
        (f"{SUSPECTED_HARM}/{one.guardrail}/{one.slice}", one.log_rollback >= LOG_SUSPICION)
        for one in evidence
        if one.blocks
    ]
    unproven = [
        (f"{one.guardrail}/{one.slice}", one.log_promotion < needed)
        for one in evidence
        if one.required or one.units >= thresholds.min_requests
    ]
    return tuple(name for name, lacking in checks + suspected + unproven if lacking)
