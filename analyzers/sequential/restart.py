"""Wealth that restarts all the time, so that a long healthy past cannot hide a new regression.

Before each window a small share of fresh wealth joins what is left of the old. The result is the
weighted sum of the wealths of bettors who began at every window so far. A budget of windows shares
out a total of 1 (one half at the first window, the other half evenly), so within the budget the
chance of ever crossing 1/alpha without a regression is at most alpha, and at most alpha/2 more for
every further budget.

The first windows bring no fresh wealth but the first: there is no long past yet to hide behind, and
overdispersion is still being learnt. What they won is summed undivided, and the sum is divided by
the latest estimate until the last of them has been added.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from understudy.analyzers.sequential.bets import FloatArray, log_evidence

DEFAULT_BUDGET_WINDOWS: Final = 1_440
"""Four hours of windows of ten seconds, about what one stage of a rollout takes."""
LEARNING_WINDOWS: Final = 20
"""Windows at the beginning whose increments are divided again as overdispersion is learnt: by then
the first guess weighs a twentieth."""


def log_share(step: int, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> float:
    """Return the log of the fresh wealth that joins at window `step`, from 0; -inf for none."""
    if 0 < step < LEARNING_WINDOWS:
        return -math.inf
    return float(-np.log(2.0) if step == 0 else -np.log(2.0 * budget_windows))


def restarted(
    log_wealth: FloatArray, increments: FloatArray, log_fresh: FloatArray | float
) -> FloatArray:
    """Wealth after one window: (..., n_bets) old wealth and increments to (..., n_bets).

    Wealth of nothing yet is -inf. Source: Shin, Ramdas and Rinaldo (2022), e-detectors.
    """
    result: FloatArray = np.logaddexp(log_wealth, log_fresh) + increments
    return result


def log_shares(windows: FloatArray, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> FloatArray:
    """Return `log_share` of many steps at once: (...) windows so far to (...)."""
    later = np.where(windows < LEARNING_WINDOWS, -np.inf, -np.log(2.0 * budget_windows))
    result: FloatArray = np.where(windows == 0, -np.log(2.0), later)
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


# dict=True lets the log evidence, which every look asks for, be worked out once.
class RestartedWealth(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """Rollback evidence of one guardrail in one slice.

    It depends on the order of the windows: unlike plain sums, two of these do not merge.
    """

    log_wealth: tuple[float, ...] = ()
    """(n_bets,) natural logarithms; empty before the first window."""
    windows: int = 0
    budget_windows: int = DEFAULT_BUDGET_WINDOWS
    learning: tuple[float, ...] = ()
    """(n_bets,) increments of the first windows, undivided; empty before and after those."""

    def __post_init__(self) -> None:
        if self.budget_windows < 1:
            raise ValueError("a budget has at least one window")

    @cached_property
    def log_evidence(self) -> float:
        """Log evidence against "no harm beyond the margin"; -inf before the first window."""
        return float(log_evidence(np.array(self.log_wealth))) if self.log_wealth else -math.inf

    def after(
        self, increments: FloatArray, overdispersion: float = 1.0, *, restart: bool = True
    ) -> RestartedWealth:
        """Return the wealth after one more batch of (n_bets,) increments.

        A batch that only adds to a window which has already brought fresh wealth (an early row's
        successor, another partition) passes `restart=False`, so that the budget counts windows.
        The first batch always brings some.

        Dividing by an `overdispersion` of at least 1 (estimated from earlier windows) keeps an
        e-value an e-value, by Jensen's inequality. Raises ValueError when it is below 1.
        """
        if overdispersion < 1.0:
            raise ValueError("overdispersion is at least 1")
        restart = restart or self.windows == 0
        windows = self.windows + restart
        if windows <= LEARNING_WINDOWS:
            won = increments + (np.array(self.learning) if self.windows else 0.0)
            learning = RestartedWealth((), windows, self.budget_windows, tuple(won.tolist()))
            return learning.divided_by(overdispersion)
        fresh = log_share(self.windows, self.budget_windows) if restart else -math.inf
        wealth = restarted(np.array(self.log_wealth), increments / overdispersion, fresh)
        return RestartedWealth(tuple(wealth.tolist()), windows, self.budget_windows)

    def divided_by(self, overdispersion: float) -> RestartedWealth:
        """Divide what the first windows won by what is known by now; after those, return itself."""
        if not self.learning:
            return self
        wealth = log_share(0) + np.array(self.learning) / overdispersion
        return replace(self, log_wealth=tuple(wealth.tolist()))
