"""Wealth as a plain sum of increments: the evidence for promotion since a stage began.

It adds up over windows and partitions in any order, so partial sums merge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from understudy.analyzers.judge.bets import FloatArray, log_evidence


@dataclass(frozen=True, slots=True)
class Wealth:
    """Promotion evidence of one guardrail in one slice: (n_bets,) log-wealth, zero at the start."""

    log_wealth: tuple[float, ...]

    @classmethod
    def begin(cls, n_bets: int) -> Wealth:
        """One unit of wealth on each bet."""
        return cls((0.0,) * n_bets)

    @property
    def log_evidence(self) -> float:
        """Log evidence against "harm of at least the margin"; 0 before any window."""
        return float(log_evidence(np.array(self.log_wealth)))

    def fold(self, increments: FloatArray, overdispersion: float = 1.0) -> Wealth:
        """The wealth after one more window; see `RestartedWealth.fold` for `overdispersion`."""
        if overdispersion < 1.0:
            raise ValueError("overdispersion is at least 1")
        return Wealth(tuple((np.array(self.log_wealth) + increments / overdispersion).tolist()))

    def __add__(self, other: Wealth) -> Wealth:
        pairs = zip(self.log_wealth, other.log_wealth, strict=True)
        return Wealth(tuple(mine + theirs for mine, theirs in pairs))

    def to_list(self) -> list[float]:
        """The log-wealths."""
        return list(self.log_wealth)

    @classmethod
    def from_list(cls, numbers: list[float]) -> Wealth:
        """The wealth that `to_list` wrote."""
        return cls(tuple(numbers))
