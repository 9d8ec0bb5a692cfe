"""How much money mirrored calls may cost in a period.

What a call costs is known once it is over, so the limit is exceeded by at most the calls in flight.
The budget is that of one process; it starts anew with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DAY_S: Final = 86_400.0


class Budget:
    """US dollars for each period, by the clock of the caller."""

    def __init__(
        self, limit_usd: float, *, period_s: float = DAY_S, now_s: Callable[[], float]
    ) -> None:
        """Raises ValueError for a limit below 0 or a period that is not positive."""
        if not (limit_usd >= 0.0 and period_s > 0.0):
            raise ValueError("a budget needs a limit of at least 0 and a period above 0")
        self._limit_usd = limit_usd
        self._period_s = period_s
        self._now_s = now_s
        self._period_began_s = now_s()
        self._priced_calls = 0
        self._priced_usd = 0.0
        self.spent_usd = 0.0
        """In this period."""
        self.is_unpriced = False
        """A call of this period succeeded and nobody said what it cost: no limit can be kept."""

    def allows(self) -> bool:
        """Return whether one more call may begin."""
        elapsed_s = self._now_s() - self._period_began_s
        if elapsed_s >= self._period_s:
            self._period_began_s += self._period_s * (elapsed_s // self._period_s)
            self.spent_usd = 0.0
            self.is_unpriced = False
        return self.spent_usd < self._limit_usd and not self.is_unpriced

    def charge(self, cost_usd: float | None, *, answered: bool = True) -> None:
        """Count a call that is over.

        One that was cut off has most likely been billed too, so it counts as the mean of those
        whose cost is known. Once a call that `answered` has no price, nothing more is allowed.
        """
        if cost_usd is None:
            self.is_unpriced = self.is_unpriced or answered
            self.spent_usd += self._priced_usd / max(1, self._priced_calls)
            return
        self._priced_calls += 1
        self._priced_usd += cost_usd
        self.spent_usd += cost_usd
