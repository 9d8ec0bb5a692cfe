"""Evidence on means without a bound, such as cost.

An observation is x = candidate - (1 + margin) · stable; the null hypothesis says its mean is at
most zero, or for promotion at least zero. The increment charges half of the variance as seen and
the rest as predicted from earlier windows, so it assumes no bound on x but leans on the prediction.
Large costs are never cut off: that would make promotion false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from understudy.analyzers.sequential.bets import Direction, FloatArray

STAKES: Final[FloatArray] = 0.5 * 2.0 ** -np.arange(0.0, 7.0)
"""Stakes in units of one over the scale sigma_0."""
PRIOR_UNITS: Final = 500.0
"""How many observations the first guess of the variance is worth, so that some hundred requests
without a large one do not make the rest look safe."""
CALIBRATION_UNITS: Final = 100.0
"""Units that only serve to guess the scale, before anything is staked. With 50, equal costs are
promoted sooner, and costs with heavy tails more often falsely (docs/statistics.md)."""
MOST_OF_AN_OBSERVATION: Final = 1.5
"""Log-wealth that one observation wins at most, whatever the stake: λx - (λx)²/6 at λx = 3. Of two
arms a window is one observation."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Units of one arm in a window with the sum and the sum of squares of their values."""

    units: int
    total: float
    square: float

    @property
    def mean(self) -> float:
        """Mean per unit; zero of nothing."""
        return self.total / self.units if self.units else 0.0

    @property
    def variance(self) -> float:
        """Variance per unit around the arm's own mean; zero below two units."""
        if self.units < 2:
            return 0.0
        return max(0.0, self.square - self.units * self.mean**2) / (self.units - 1)


@dataclass(frozen=True, slots=True)
class Observations:
    """A window's observations: how many, their sum, their squares, the variance they show.

    `units` may be fractional: an unpaired window has one observation worth h = nc·ns/(nc+ns)
    units. `spread` estimates the sum of variances from within the window; paired, it is `square`.
    """

    units: float
    total: float
    square: float
    spread: float


def paired_ratio(
    pairs: int,
    candidate: float,
    stable: float,
    candidate_square: float,
    cross: float,
    stable_square: float,
    margin: float,
) -> Observations:
    """Observations candidate - (1 + margin) · stable of paired sides, from sums over the window.

    The five sums are Σc, Σs, Σc², Σcs and Σs² over `pairs` pairs.
    """
    factor = 1.0 + margin
    square = candidate_square - 2.0 * factor * cross + factor**2 * stable_square
    square = max(0.0, square)
    return Observations(float(pairs), candidate - factor * stable, square, square)


def unpaired(
    candidate: Moments, stable: Moments, factor: float, shift: float = 0.0
) -> Observations:
    """One observation h · (mean_c - factor · mean_s - shift) of two separate arms.

    h = nc·ns/(nc+ns) weighs windows by what they can tell. With factor 1 + margin it judges a
    ratio of means, with factor 1 and `shift` a difference. An empty arm gives nothing.
    """
    if candidate.units == 0 or stable.units == 0:
        return Observations(0.0, 0.0, 0.0, 0.0)
    weight = candidate.units * stable.units / (candidate.units + stable.units)
    observed = weight * (candidate.mean - factor * stable.mean - shift)
    noise = candidate.variance / candidate.units + factor**2 * stable.variance / stable.units
    return Observations(weight, observed, observed**2, weight**2 * noise)


class Scale(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What earlier windows say about the variance of one unit.

    `prior` is sigma_0², 0 until `CALIBRATION_UNITS` have been seen (or given by who knows better);
    it fixes the stakes and is worth `PRIOR_UNITS` observations of the running estimate.
    """

    prior: float = 0.0
    units: float = 0.0
    spread: float = 0.0

    @property
    def variance(self) -> float:
        """Predicted variance of one unit, 0 before calibration."""
        if self.prior == 0.0:
            return 0.0
        return (PRIOR_UNITS * self.prior + self.spread) / (PRIOR_UNITS + self.units)

    def after(self, observations: Observations) -> Scale:
        """Return the scale after a window. Call it once the window's increment has been taken."""
        units, spread = self.units + observations.units, self.spread + observations.spread
        calibrated = self.prior > 0.0 or units < CALIBRATION_UNITS
        return Scale(self.prior if calibrated else spread / units, units, spread)


def penalty(observations: Observations, scale: Scale) -> float:
    """The variance charged for a window, Σx² + 2 n σ̂². Adds up; `confidence` needs the sum."""
    return observations.square + 2.0 * observations.units * scale.variance


def log_increments(observations: Observations, scale: Scale, direction: Direction) -> FloatArray:
    """Log-wealth won on a window, (7,). `scale` must come from earlier windows only.

    Nothing is won before the scale is calibrated, nor by an empty observations.

    Source: Delyon (2009), exponential inequality with half of the variance observed; used as in
    Howard, Ramdas, McAuliffe and Sekhon (2021).
    """
    if scale.prior <= 0.0:
        return np.zeros_like(STAKES)
    return staked(
        np.array(observations.total), np.array(penalty(observations, scale)), scale.prior, direction
    )


def staked(
    total: FloatArray, charged: FloatArray, prior: FloatArray | float, direction: Direction
) -> FloatArray:
    """Log-wealth from sums and penalties of many windows at once: (...) each to (..., 7).

    `prior` is sigma_0², positive, and broadcasts against them.
    """
    bets = STAKES / np.sqrt(np.asarray(prior))[..., None]
    sign = 1.0 if direction == "rollback" else -1.0
    result: FloatArray = sign * bets * total[..., None] - bets**2 / 6.0 * charged[..., None]
    return result
