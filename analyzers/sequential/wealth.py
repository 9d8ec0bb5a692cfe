"""Wealth as a plain sum of increments: the evidence for promotion since a stage began.

It adds up over windows and partitions in any order, so partial sums merge. Overdispersion divides
the whole sum, by what is known when it is asked for.
"""

from __future__ import annotations

from functools import cached_property

import msgspec
import numpy as np

from understudy.analyzers.sequential.bets import FloatArray, log_evidence


# dict=True lets the log evidence, which every look asks for, be worked out once.
class Wealth(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """Promotion evidence of one guardrail in one slice."""

    won: tuple[float, ...]
    """(n_bets,) sums of increments, undivided; zero at the start."""
    overdispersion: float = 1.0
    """What divides them, at least 1: that known at the last window."""

    @classmethod
    def begin(cls, n_bets: int) -> Wealth:
        """One unit of wealth on each bet."""
        return cls((0.0,) * n_bets)

    @property
    def log_wealth(self) -> FloatArray:
        """Log-wealth on each bet, (n_bets,)."""
        divided: FloatArray = np.array(self.won) / self.overdispersion
        return divided

    @cached_property
    def log_evidence(self) -> float:
        """Log evidence against "harm of at least the margin"; 0 before any window."""
        return float(log_evidence(self.log_wealth))

    def after(self, increments: FloatArray, overdispersion: float = 1.0) -> Wealth:
        """Return the wealth after one more window; see `RestartedWealth.after`."""
        won = tuple((np.array(self.won) + increments).tolist())
        return Wealth(won).divided_by(overdispersion)

    def divided_by(self, overdispersion: float) -> Wealth:
        """Divide all windows so far by what is known by now.

        Raises ValueError when it is below 1.
        """
        if overdispersion < 1.0:
            raise ValueError("overdispersion is at least 1")
        return Wealth(self.won, overdispersion)

    def __add__(self, other: Wealth) -> Wealth:
        pairs = zip(self.won, other.won, strict=True)
        won = tuple(mine + theirs for mine, theirs in pairs)
        return Wealth(won, max(self.overdispersion, other.overdispersion))
