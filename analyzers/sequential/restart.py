"""Wealth that restarts all the time, so that a long healthy past cannot hide a new regression.

Before each window a small share of fresh wealth joins what is left of the old. The result is the
weighted sum of the wealths of bettors who began at every window so far. A budget of windows shares
out a total of 1 (one half at the first window, the other half evenly), so within the budget the
chance of ever crossing 1/alpha without a regression is at most alpha, and at most alpha/2 more for
every further budget.

The first windows bring no fresh wealth but the first: there is no long past yet to hide behind, and
overdispersion is still being learnt. What they won is kept whole, and divided by whatever is known
until the last of them has been folded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray, log_evidence

DEFAULT_BUDGET_WINDOWS: Final = 1_440
LEARNING_WINDOWS: Final = 20
"""Windows at the beginning whose increments are divided again as overdispersion is learnt."""


def log_share(step: int, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> float:
    """Log of the fresh wealth that joins at window `step`, counted from 0; -inf for none.

    Raises ValueError when the step is negative or the budget has no window.
    """
    if step < 0 or budget_windows < 1:
        raise ValueError("a step counts from 0 and a budget has at least one window")
    if 0 < step < LEARNING_WINDOWS:
        return -np.inf
    return float(-np.log(2.0) if step == 0 else -np.log(2.0 * budget_windows))


def restarted(log_wealth: FloatArray, increments: FloatArray, log_fresh: float) -> FloatArray:
    """Wealth after one window: (..., n_bets) old wealth and increments to (..., n_bets).

    Wealth of nothing yet is -inf. Source: Shin, Ramdas and Rinaldo (2022), e-detectors.
    """
    result: FloatArray = np.logaddexp(log_wealth, log_fresh) + increments
    return result


@dataclass(frozen=True, slots=True)
class RestartedWealth:
    """Rollback evidence of one guardrail in one slice: (n_bets,) log-wealth and windows folded.

    Folding is sequential: unlike plain sums, two of these do not merge.
    """

    log_wealth: tuple[float, ...]
    steps: int = 0
    budget_windows: int = DEFAULT_BUDGET_WINDOWS
    learning: tuple[float, ...] = ()
    """(n_bets,) increments of the first windows, undivided; empty before and after those."""

    @classmethod
    def begin(cls, n_bets: int, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> RestartedWealth:
        """No wealth yet. Raises ValueError when the budget has no window."""
        log_share(0, budget_windows)
        return cls((-np.inf,) * n_bets, 0, budget_windows)

    @property
    def log_evidence(self) -> float:
        """Log evidence against "no harm beyond the margin"; -inf before the first window."""
        return float(log_evidence(np.array(self.log_wealth)))

    def fold(
        self, increments: FloatArray, overdispersion: float = 1.0, *, restart: bool = True
    ) -> RestartedWealth:
        """The wealth after one more batch of (n_bets,) increments.

        A batch that only adds to a window which has already brought fresh wealth (an early row's
        successor, another partition) passes `restart=False`, so that the budget counts windows.
        The first batch always brings some.

        Dividing by an `overdispersion` of at least 1 (estimated from earlier windows) keeps an
        e-value an e-value, by Jensen's inequality. Raises ValueError when it is below 1.
        """
        if overdispersion < 1.0:
            raise ValueError("overdispersion is at least 1")
        restart = restart or self.steps == 0
        steps = self.steps + restart
        if steps <= LEARNING_WINDOWS:
            won = increments + (np.array(self.learning) if self.steps else 0.0)
            learning = RestartedWealth((), steps, self.budget_windows, tuple(won.tolist()))
            return learning.divided(overdispersion)
        fresh = log_share(self.steps, self.budget_windows) if restart else -np.inf
        wealth = restarted(np.array(self.log_wealth), increments / overdispersion, fresh)
        return RestartedWealth(tuple(wealth.tolist()), steps, self.budget_windows)

    def divided(self, overdispersion: float) -> RestartedWealth:
        """What the first windows won, divided by what is known by now; itself after those."""
        if not self.learning:
            return self
        wealth = log_share(0) + np.array(self.learning) / overdispersion
        return replace(self, log_wealth=tuple(wealth.tolist()))

    def to_list(self) -> list[float]:
        """Budget, steps, log-wealths, what was won while learning: finite numbers, as JSON has."""
        wealth = list(self.log_wealth) if self.steps else [0.0] * len(self.log_wealth)
        return [float(self.budget_windows), float(self.steps), *wealth, *self.learning]

    @classmethod
    def from_list(cls, numbers: list[float]) -> RestartedWealth:
        """The wealth that `to_list` wrote."""
        budget, steps, *wealth = numbers
        if steps == 0:
            return cls.begin(len(wealth), int(budget))
        n_bets = len(wealth) // 2 if steps <= LEARNING_WINDOWS else len(wealth)
        return cls(tuple(wealth[:n_bets]), int(steps), int(budget), tuple(wealth[n_bets:]))
