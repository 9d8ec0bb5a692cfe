"""Paired ratios of duration and time to first token."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.compare.arrays import Bools, Floats


def comparable(stable: Floats, candidate: Floats, answered: Bools) -> Bools:
    """Rows (n,) in which both sides answered in a known time above zero."""
    return np.asarray(answered & (stable > 0) & (candidate > 0))


def ratio(stable: Floats, candidate: Floats) -> Floats:
    """candidate / stable (n,); NaN where a side is unknown or zero."""
    known = (stable > 0) & (candidate > 0)
    quotient: Floats = np.full(len(stable), np.nan)
    np.divide(candidate, stable, out=quotient, where=known)
    return quotient
