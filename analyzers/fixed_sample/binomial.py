"""A share of bad cases against a limit: exact binomial tests and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.log_factorial import log_binomial

_STEPS: Final = 60
"""Of a bisection between 0 and 1: beyond the last bit."""


def log_chances(counts: range, trials: int, chance: float) -> FloatArray:
    """Return the log chances of some numbers of bad cases, each `chance` likely to be bad."""
    k = np.arange(counts.start, counts.stop, dtype=np.float64)
    if chance <= 0.0 or chance >= 1.0:
        certain = 0 if chance <= 0.0 else trials
        return np.where(k == certain, 0.0, -np.inf)
    full = np.full_like
    return log_binomial(k, full(k, trials), full(k, chance), full(k, 1.0 - chance))


def at_least(bad: int, cases: int, share: float) -> float:
    """Return the chance of so many bad cases or more, each bad with a chance of `share`."""
    if bad <= 0:
        return 1.0
    return min(1.0, float(np.exp(log_chances(range(bad, cases + 1), cases, share)).sum()))


def at_most(bad: int, cases: int, share: float) -> float:
    """Return the chance of so many bad cases or fewer, each bad with a chance of `share`."""
    if bad >= cases:
        return 1.0
    return min(1.0, float(np.exp(log_chances(range(bad + 1), cases, share)).sum()))


def interval(bad: int, cases: int, alpha: float) -> tuple[float, float]:
    """Return where the share of bad cases lies, `alpha` for both ends together.

    Source: Clopper and Pearson (1934), *The use of confidence or fiducial limits*.
    """
    if cases <= 0:
        return 0.0, 1.0
    low = _root(lambda share: at_least(bad, cases, share) < alpha / 2) if bad > 0 else 0.0
    high = _root(lambda share: at_most(bad, cases, share) >= alpha / 2) if bad < cases else 1.0
    return low, high


def chernoff_interval(bad: float, cases: float, alpha: float) -> tuple[float, float]:
    """Return a wider interval for the share that takes no sums: by the bound of Chernoff (1952)."""
    if cases <= 0:
        return 0.0, 1.0
    share, most = bad / cases, math.log(2.0 / alpha) / cases
    low = _root(lambda q: q < share and divergence(share, q) > most) if bad > 0 else 0.0
    high = _root(lambda q: q < share or divergence(share, q) <= most) if bad < cases else 1.0
    return low, high


def divergence(share: float, other: float) -> float:
    """Return the Kullback-Leibler divergence of two chances of a yes."""
    if not 0.0 < other < 1.0:
        return 0.0 if share == other else math.inf
    yes = share * math.log(share / other) if share > 0.0 else 0.0
    no = (1.0 - share) * math.log((1.0 - share) / (1.0 - other)) if share < 1.0 else 0.0
    return yes + no


def _root(is_below: Callable[[float], bool]) -> float:
    """Return where a condition that holds from 0 on ceases to hold, below 1."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
