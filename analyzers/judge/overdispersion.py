"""Overdispersion: how much more window sums scatter than independent units would.

Turns of one conversation, retries and bursts make units alike, and evidence that takes them for
independent grows too fast. Increments are therefore divided by phi, estimated from earlier windows.

Successive windows are compared with each other rather than with the margin. Measured against the
margin, a healthy candidate looks overdispersed, the more so the larger its windows; and a lasting
regression is no scatter: between neighbours it shows once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRIOR_WINDOWS: Final = 20.0
"""Windows that the first opinion, no overdispersion, is worth."""


@dataclass(frozen=True, slots=True)
class Overdispersion:
    """Scatter seen and scatter expected under independence, over the windows so far.

    Folding is sequential, as each window is compared with the one before it.
    """

    windows: int = 0
    seen: float = 0.0
    expected: float = 0.0
    last_units: float = 0.0
    last_mean: float = 0.0

    @property
    def phi(self) -> float:
        """The divisor for increments of later windows, at least 1.

        Source: the Pearson estimate of quasi-likelihood (McCullagh and Nelder, 1989, chapter 4) on
        successive differences (von Neumann, 1941), shrunk towards 1.
        """
        if self.windows == 0 or self.expected <= 0.0:
            return 1.0
        ratio = self.seen / self.expected
        shrunk = (PRIOR_WINDOWS + self.windows * ratio) / (PRIOR_WINDOWS + self.windows)
        return max(1.0, shrunk)

    def fold(self, units: float, total: float, variance: float) -> Overdispersion:
        """After a window with `units` units, sum of harms `total` and `variance` of one unit.

        A window without units, or whose harms are all alike, says nothing.
        """
        if units <= 0.0:
            return self
        mean = total / units
        if self.last_units <= 0.0:
            return Overdispersion(self.windows, self.seen, self.expected, units, mean)
        scatter = (mean - self.last_mean) ** 2 / (1.0 / units + 1.0 / self.last_units)
        return Overdispersion(
            self.windows + 1, self.seen + scatter, self.expected + variance, units, mean
        )

    def fold_control(self, units: float, total: float, variance: float) -> Overdispersion:
        """After a window of stable against its own second run, whose mean harm is known to be 0."""
        if units <= 0.0:
            return self
        return Overdispersion(
            self.windows + 1,
            self.seen + total**2 / units,
            self.expected + variance,
            self.last_units,
            self.last_mean,
        )

    def to_list(self) -> list[float]:
        """Five numbers: windows, seen, expected, last units, last mean."""
        return [float(self.windows), self.seen, self.expected, self.last_units, self.last_mean]

    @classmethod
    def from_list(cls, numbers: list[float]) -> Overdispersion:
        """The state that `to_list` wrote."""
        windows, seen, expected, last_units, last_mean = numbers
        return cls(int(windows), seen, expected, last_units, last_mean)
