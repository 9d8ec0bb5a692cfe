"""Verdicts that stay valid however often one looks: sequential tests in pure numpy.

A window's counts become log increments (`exact`, `two_arm` with `tail` for quantiles, `unbounded`,
`noise_floor`), increments become evidence (`restart` for rollback, `wealth` for promotion),
and weighted evidence becomes a verdict (`weights`, `verdict`). Beside them: `confidence` for
display, `sample_ratio` for data quality, `overdispersion` for correlated data. No clock, no I/O.
"""

from understudy.analyzers.sequential.bets import Direction, log_evidence, signed_bets
from understudy.analyzers.sequential.evidence import Evidence
from understudy.analyzers.sequential.overdispersion import Overdispersion
from understudy.analyzers.sequential.restart import RestartedWealth
from understudy.analyzers.sequential.two_arm import Arm, Arms
from understudy.analyzers.sequential.unbounded import Batch, Moments, Scale
from understudy.analyzers.sequential.verdict import (
    Bar,
    DataQuality,
    Finding,
    Progress,
    Verdict,
    judge,
)
from understudy.analyzers.sequential.wealth import Wealth
from understudy.analyzers.sequential.weights import slice_weights

__all__ = [
    "Arm",
    "Arms",
    "Bar",
    "Batch",
    "DataQuality",
    "Direction",
    "Evidence",
    "Finding",
    "Moments",
    "Overdispersion",
    "Progress",
    "RestartedWealth",
    "Scale",
    "Verdict",
    "Wealth",
    "judge",
    "log_evidence",
    "signed_bets",
    "slice_weights",
]
