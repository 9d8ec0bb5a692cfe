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
from typing import Final, Literal, NamedTuple

import numpy as np

from understudy.analyzers.sequential.bets import BoolArray, FloatArray
from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD

VerdictAction = Literal["rollback", "hold", "promote"]

SUSPECTED_HARM: Final = "suspected_harm"
"""In `missing`: weighted evidence of all together; with `/guardrail/slice`, that of one slice."""
LOG_SUSPICION: Final = math.log(5.0)
"""Log of the unweighted rollback evidence from which a slice blocks promotion. Simulated with equal
models, nine guardrails and 30 languages, some slice reaches it in at most 0.6 % of looks at base
rates up to 5 %, in 3 % at 10 %; a language of 6 % of the traffic that falls from 99 to 95 % is
above it after an hour at 10 requests/s in all of 1 000 rollouts."""


class EvidenceColumns(NamedTuple):
    """The evidence of n guardrails in slices that promotion waits for; arrays are (n,).

    `log_rollback` and `log_promotion` are natural logs of evidence, of each slice by itself.
    `required` slices must pass before promotion; others must pass once they have enough units.
    Where it `blocks`, suspicion of harm in that slice alone is enough to wait.
    """

    names: Sequence[str]
    """`guardrail/slice`"""
    log_rollback: FloatArray
    log_promotion: FloatArray
    units: FloatArray
    required: BoolArray
    blocks: BoolArray


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


def reach_verdict(
    log_evidence: float,
    evidence: EvidenceColumns,
    totals: StageTotals,
    thresholds: VerdictThresholds,
) -> StatisticalVerdict:
    """Return the verdict on all evidence of a rollout at one look.

    Rollback: `log_evidence`, the log of the weighted sum of rollback evidence, reaches that of
    1 / `false_rollback`; valid under any dependence between slices (Wang and Ramdas, 2022, on
    averages of e-values). Broken data quality never stops a rollback, only a promotion.
    """
    breaches = totals.quality.breaches(thresholds)
    if log_evidence >= thresholds.log_rollback:
        return StatisticalVerdict("rollback", log_evidence, (), breaches)
    missing = _missing(log_evidence, evidence, totals, thresholds) + breaches
    action: VerdictAction = "hold" if missing else "promote"
    return StatisticalVerdict(action, log_evidence, missing, breaches)


def _missing(
    log_evidence: float,
    evidence: EvidenceColumns,
    totals: StageTotals,
    thresholds: VerdictThresholds,
) -> tuple[str, ...]:
    """What keeps a rollout from promotion, data quality apart; empty when nothing does."""
    needed = thresholds.log_promotion
    checks = [
        ("guardrails", not evidence.required.any()),
        ("requests", totals.requests < thresholds.min_requests),
        ("duration", totals.duration_s < thresholds.min_duration_s),
        # Suspected harm, though not enough for a rollback, is no moment to send more requests.
        (SUSPECTED_HARM, log_evidence >= needed),
    ]
    # Waiting costs no error of a rollback, so a small language needs no weight to ask for it.
    suspected = np.flatnonzero(evidence.blocks & (evidence.log_rollback >= LOG_SUSPICION)).tolist()
    must_pass = evidence.required | (evidence.units >= thresholds.min_requests)
    unproven = np.flatnonzero(must_pass & (evidence.log_promotion < needed)).tolist()
    return (
        *(name for name, is_lacking in checks if is_lacking),
        *(f"{SUSPECTED_HARM}/{evidence.names[place]}" for place in suspected),
        *(evidence.names[place] for place in unproven),
    )
