"""Verdicts that stay valid however often one looks: sequential tests in pure numpy.

A window's counts become log increments (`exact`, `two_arm` with `tail` for quantiles, `unbounded`,
`noise_floor`), increments become evidence (`restart` for rollback, `wealth` for promotion), and
weighted evidence becomes a verdict (`weights`, `verdict`). In addition: `confidence` for intervals,
`sample_ratio` for data quality; `conversations`, `blocks` and `overdispersion` for correlated data.
"""

from understudy.analyzers.sequential.bets import Direction, log_evidence, signed_bets
from understudy.analyzers.sequential.overdispersion import Overdispersion
from understudy.analyzers.sequential.restart import RestartedWealth
from understudy.analyzers.sequential.two_arm import Arm, Arms
from understudy.analyzers.sequential.unbounded import Moments, Observations, Scale
from understudy.analyzers.sequential.verdict import (
    EvidenceColumns,
    QualityMeasures,
    StageTotals,
    StatisticalVerdict,
    VerdictThresholds,
    reach_verdict,
)
from understudy.analyzers.sequential.wealth import Wealth

__all__ = [
    "Arm",
    "Arms",
    "Direction",
    "EvidenceColumns",
    "Moments",
    "Observations",
    "Overdispersion",
    "QualityMeasures",
    "RestartedWealth",
    "Scale",
    "StageTotals",
    "StatisticalVerdict",
    "VerdictThresholds",
    "Wealth",
    "log_evidence",
    "reach_verdict",
    "signed_bets",
]
