"""Verdicts that stay valid however often one looks: sequential tests in pure numpy.

A window's counts become log increments (`exact`, `two_arm` with `tail` for quantiles, `unbounded`,
`noise_floor`), increments become evidence (`restart` for rollback, `wealth` for promotion),
and weighted evidence becomes a verdict (`weights`, `verdict`). Beside them: `confidence` for
display, `sample_ratio` for data quality, `overdispersion` for correlated data. No clock, no I/O.
"""

from understudy.analyzers.judge.bets import Direction, log_evidence, signed_bets
from understudy.analyzers.judge.evidence import Evidence
from understudy.analyzers.judge.overdispersion import Overdispersion
from understudy.analyzers.judge.restart import RestartedWealth
from understudy.analyzers.judge.two_arm import Arm, Arms
from understudy.analyzers.judge.unbounded import Batch, Moments, Scale
from understudy.analyzers.judge.verdict import (
    Bar,
    DataQuality,
    Finding,
    Progress,
    Verdict,
    judge,
)
from understudy.analyzers.judge.wealth import Wealth
from understudy.analyzers.judge.weights import slice_weights

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
