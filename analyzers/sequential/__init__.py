"""Verdicts that stay valid however often one looks: sequential tests in pure numpy.

A window's counts become log increments (`exact`, `two_arm_cells` with `tail_buckets` for quantiles,
`unbounded`), increments are divided by the design effect (`conversations`, `blocks`) and become
evidence (`restart` for rollback, plain sums for promotion), and weighted evidence becomes a verdict
(`weights`, `verdict`). In addition: `confidence` for intervals, `sample_ratio` for data quality,
`detection_delay` for what is known before.
"""

from understudy.analyzers.sequential.bets import Direction, log_evidence, signed_bets
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

__all__ = [
    "Arm",
    "Arms",
    "Direction",
    "EvidenceColumns",
    "Moments",
    "Observations",
    "QualityMeasures",
    "Scale",
    "StageTotals",
    "StatisticalVerdict",
    "VerdictThresholds",
    "log_evidence",
    "reach_verdict",
    "signed_bets",
]
