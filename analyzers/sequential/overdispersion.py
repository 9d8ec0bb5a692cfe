"""Overdispersion: how much more window sums vary than those of independent units would.

Turns of one conversation, retries and bursts make units alike, and evidence that takes them for
independent grows too fast. Increments are therefore divided by a factor (phi in the literature),
estimated from earlier windows.

Successive windows are compared with each other rather than with the margin. Measured against the
margin, a healthy candidate looks overdispersed, the more so the larger its windows; and a lasting
regression is no variation: between neighbours it shows once.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

PRIOR_WINDOWS: Final = 1.0
"""Windows that the first guess is worth: one, so that it is soon outweighed."""
FIRST_GUESS: Final = 5.0
"""Factor before anything was seen. Too low a guess lets the first windows of clustered traffic
raise false alarms before the factor is known; a high one costs a few windows of delay, as what they
brought is divided again by what is learnt meanwhile (see `restart` and `wealth`)."""


class Overdispersion(msgspec.Struct, frozen=True, array_like=True):
    """Variation seen and variation expected under independence, over the windows so far.

    The order of windows matters, as each is compared with the one before it. `guess` is the factor
    before anything was seen: 1 where units are known to be independent, as in a test set.
    """

    windows: int = 0
    seen: float = 0.0
    expected: float = 0.0
    last_units: float = 0.0
    last_mean: float = 0.0
    guess: float = FIRST_GUESS

    @property
    def factor(self) -> float:
        """What divides the increments of later windows, at least 1.

        Source: the Pearson estimate of quasi-likelihood (McCullagh and Nelder, 1989, chapter 4) on
        successive differences (von Neumann, 1941), shrunk towards the first guess.
        """
        if self.windows == 0 or self.expected <= 0.0:
            return max(1.0, self.guess)
        ratio = self.seen / self.expected
        pooled = PRIOR_WINDOWS * self.guess + self.windows * ratio
        return max(1.0, pooled / (PRIOR_WINDOWS + self.windows))

    def after_window(self, units: float, total: float, variance: float) -> Overdispersion:
        """Return the state after a window: its units, summed harm, and the variance of one unit.

        A window without units, or whose harms are all alike, says nothing.
        """
        if units <= 0.0:
            return self
        # Kept as a float: equal states must be equal bytes, before and after they are read.
        units, mean = float(units), total / units
        if self.last_units <= 0.0:
            return replace(self, last_units=units, last_mean=mean)
        variation = (mean - self.last_mean) ** 2 / (1.0 / units + 1.0 / self.last_units)
        return replace(self._with(variation, variance), last_units=units, last_mean=mean)

    def after_control_window(self, units: float, total: float, variance: float) -> Overdispersion:
        """Return the state after a window of stable against its own second run.

        Its mean harm is known to be 0, so it is compared with that instead of with its neighbour.
        """
        if units <= 0.0:
            return self
        return self._with(total**2 / units, variance)

    def _with(self, variation: float, variance: float) -> Overdispersion:
        seen, expected = self.seen + variation, self.expected + variance
        return replace(self, windows=self.windows + 1, seen=seen, expected=expected)
