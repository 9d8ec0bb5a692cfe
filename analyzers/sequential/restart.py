"""Wealth that restarts all the time, so that a long healthy past cannot hide a new regression.

Before each window a small share of fresh wealth joins what is left of the old. The result is the
weighted sum of the wealths of bettors who began at every window so far. A budget of windows shares
out a total of 1 (one half at the first window, the other half evenly), so within the budget the
chance of ever crossing 1/alpha without a regression is at most alpha, and at most alpha/2 more for
every further budget.

It depends on the order of the windows: unlike plain sums, two such wealths do not merge.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray

DEFAULT_BUDGET_WINDOWS: Final = 1_440
"""Four hours of windows of ten seconds, about what one stage of a rollout takes."""


def log_share(step: int, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> float:
    """Return the log of the fresh wealth that joins at window `step`, from 0."""
    return float(log_shares(np.array(float(step)), budget_windows))


def log_shares(windows: FloatArray, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> FloatArray:
    """Return `log_share` of many steps at once: (...) windows so far to (...)."""
    result: FloatArray = np.where(windows == 0, -np.log(2.0), -np.log(2.0 * budget_windows))
    return result


def restarted(
    log_wealth: FloatArray, increments: FloatArray, log_fresh: FloatArray | float
) -> FloatArray:
    """Wealth after one window: (..., n_bets) old wealth and increments to (..., n_bets).

    Wealth of nothing yet is -inf. Source: Shin, Ramdas and Rinaldo (2022), e-detectors.
    """
    result: FloatArray = np.logaddexp(log_wealth, log_fresh) + increments
    return result


def restarted_path(
    log_wealth: FloatArray, increments: FloatArray, log_fresh: FloatArray
) -> FloatArray:
    """Wealth before the first of some windows and after each of them, by the same recursion.

    (..., n_bets) wealth, (T, ..., n_bets) increments and (T, ...) fresh wealth, -inf for none, to
    (T + 1, ..., n_bets). Taking windows one at a time or together gives the same bits.
    """
    path = np.empty((len(increments) + 1, *log_wealth.shape))
    path[0] = log_wealth
    for step, (won, fresh) in enumerate(zip(increments, log_fresh, strict=True)):
        path[step + 1] = restarted(path[step], won, fresh[..., None])
    return path
