"""Evidence of one guardrail in one slice: both directions side by side, small enough for a table.

Rollback looks at every batch of new units, early rows included; promotion at closed windows alone.
So they are folded apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.restart import DEFAULT_BUDGET_WINDOWS, RestartedWealth
from understudy.analyzers.sequential.wealth import Wealth


@dataclass(frozen=True, slots=True)
class Evidence:
    """Restarting wealth against harmlessness, plain wealth against harm."""

    rollback: RestartedWealth
    promotion: Wealth

    @classmethod
    def begin(cls, n_bets: int, budget_windows: int = DEFAULT_BUDGET_WINDOWS) -> Evidence:
        """No evidence yet, over `n_bets` stakes in each direction."""
        return cls(RestartedWealth.begin(n_bets, budget_windows), Wealth.begin(n_bets))

    def fold_rollback(
        self, increments: FloatArray, overdispersion: float = 1.0, *, restart: bool = True
    ) -> Evidence:
        """After (n_bets,) increments of a batch of new units; see `RestartedWealth.fold`."""
        rollback = self.rollback.fold(increments, overdispersion, restart=restart)
        return Evidence(rollback, self.promotion)

    def fold_promotion(self, increments: FloatArray, overdispersion: float = 1.0) -> Evidence:
        """After (n_bets,) increments of closed windows."""
        return Evidence(self.rollback, self.promotion.fold(increments, overdispersion))

    def divided(self, overdispersion: float) -> Evidence:
        """The same units, divided by what has been learnt of overdispersion since."""
        return Evidence(
            self.rollback.divided(overdispersion), self.promotion.divided(overdispersion)
        )

    def next_stage(self) -> Evidence:
        """At the next step of a ramp: promotion is earned anew, suspicion of harm stays."""
        return Evidence(self.rollback, Wealth.begin(len(self.promotion.won)))

    def to_list(self) -> list[list[float]]:
        """Two lists of numbers."""
        return [self.rollback.to_list(), self.promotion.to_list()]

    @classmethod
    def from_list(cls, lists: list[list[float]]) -> Evidence:
        """The evidence that `to_list` wrote."""
        rollback, promotion = lists
        return cls(RestartedWealth.from_list(rollback), Wealth.from_list(promotion))
