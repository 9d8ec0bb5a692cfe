"""From evidence to a verdict: rollback, promote or hold, with what it rests on.

Rollback needs one sum: the weighted evidence over guardrails and slices. Promotion needs every
required guardrail to be shown harmless, enough requests and time, and data that can be trusted.
Everything else holds. Latching a rollback and moving along the ramp are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from understudy.analyzers.sequential.bets import log_sum_exp
from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD

Action = Literal["rollback", "hold", "promote"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one guardrail found in one slice.

    `log_rollback` and `log_promotion` are natural logs of evidence. `required` slices must pass
    before promotion; others must pass once they have enough requests. `interval` and `margin` are
    in the units of the harm and serve `within_tolerance` alone.
    """

    guardrail: str
    slice: str
    weight: float
    log_rollback: float
    log_promotion: float
    requests: int
    margin: float
    required: bool = True
    interval: tuple[float, float] = (-math.inf, math.inf)

    @property
    def weighted(self) -> float:
        """Log of weight times rollback evidence; -inf without weight."""
        return math.log(self.weight) + self.log_rollback if self.weight > 0.0 else -math.inf

    @property
    def tolerated(self) -> bool:
        """Whether the harm is real but within the margin: the interval lies in (0, margin)."""
        return self.interval[0] > 0.0 and self.interval[1] < self.margin


@dataclass(frozen=True, slots=True)
class Bar:
    """How much it takes. `false_rollback` and `false_promotion` are the tolerated chances."""

    false_rollback: float = 0.01
    false_promotion: float = 0.05
    min_requests: int = 5_000
    min_duration_s: float = 0.0
    max_unmatched_share: float = 0.05
    max_late_share: float = 0.05

    def __post_init__(self) -> None:
        if not (0.0 < self.false_rollback < 1.0 and 0.0 < self.false_promotion < 1.0):
            raise ValueError("tolerated chances of a false verdict lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What could make the data lie: sides without partner, late ones, shares not as planned."""

    unmatched_share: float = 0.0
    late_share: float = 0.0
    log_sample_ratio: float = 0.0

    def breaches(self, bar: Bar) -> tuple[str, ...]:
        """Names of the limits that are broken; a sample ratio breach is for the caller to latch."""
        checks = {
            "unmatched_share": self.unmatched_share > bar.max_unmatched_share,
            "late_share": self.late_share > bar.max_late_share,
            "sample_ratio": self.log_sample_ratio >= LOG_THRESHOLD,
        }
        return tuple(name for name, broken in checks.items() if broken)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and why.

    `reasons` are findings by weighted rollback evidence, greatest first: for a rollback those that
    carried it. `missing` says what promotion still lacks, and `breaches` which limits of data
    quality are broken. `log_evidence` is the log of the weighted sum.
    """

    action: Action
    log_evidence: float
    reasons: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    breaches: tuple[str, ...] = ()
    within_tolerance: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the present stage has come."""

    requests: int
    duration_s: float
    quality: DataQuality = field(default_factory=DataQuality)


def judge(findings: Sequence[Finding], progress: Progress, bar: Bar) -> Verdict:
    """The verdict on all findings of a rollout at one look.

    Rollback: the weighted sum of rollback evidence reaches 1 / `false_rollback`; valid under any
    dependence between findings (Wang and Ramdas, 2022, on averages of e-values). Broken data
    quality never stops a rollback, only a promotion. Raises ValueError when the weights sum to
    more than 1.
    """
    if math.fsum(finding.weight for finding in findings) > 1.0 + 1e-9:
        raise ValueError("the weights of findings sum to more than 1")
    evidence = combined_log_evidence(findings)
    reasons = tuple(sorted(findings, key=_importance))
    breaches = progress.quality.breaches(bar)
    within = any(finding.tolerated for finding in findings)
    if evidence >= -math.log(bar.false_rollback):
        return Verdict("rollback", evidence, reasons, (), breaches, within)
    missing = _missing(findings, evidence, progress, bar) + breaches
    action: Action = "hold" if missing else "promote"
    return Verdict(action, evidence, reasons, missing, breaches, within)


def combined_log_evidence(findings: Sequence[Finding]) -> float:
    """Log of the weighted sum of rollback evidence; -inf without findings."""
    return float(log_sum_exp(np.array([finding.weighted for finding in findings])))


def _importance(finding: Finding) -> tuple[float, str, str]:
    return -finding.weighted, finding.guardrail, finding.slice


def _missing(
    findings: Sequence[Finding], evidence: float, progress: Progress, bar: Bar
) -> tuple[str, ...]:
    """What keeps a rollout from promotion, data quality apart; empty when nothing does."""
    needed = -math.log(bar.false_promotion)
    checks = [
        ("guardrails", not any(finding.required for finding in findings)),
        ("requests", progress.requests < bar.min_requests),
        ("duration", progress.duration_s < bar.min_duration_s),
        # Suspected harm below the bar for rollback is no moment to send more requests.
        ("suspected_harm", evidence >= needed),
    ]
    unproven = [
        (f"{finding.guardrail}/{finding.slice}", finding.log_promotion < needed)
        for finding in findings
        if finding.required or finding.requests >= bar.min_requests
    ]
    return tuple(name for name, lacking in checks + unproven if lacking)
