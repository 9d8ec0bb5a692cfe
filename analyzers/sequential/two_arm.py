"""Exact evidence on two separate arms (canary, ab) with a binary outcome.

Inside a window nothing says which unit of one arm belongs to which of the other. So the payoff of
pairs is averaged over every way of pairing the smaller arm into the larger. The average has a
closed form in the four counts, stays an e-value whatever the base rate does from window to window,
and needs no nuisance parameter.

To the larger arm's bad units its places fall into three classes: paired with a bad unit of the
smaller arm, paired with a good one, unpaired. The sum over their multivariate hypergeometric counts
is the chance that three binomials, tilted by the payoffs, add up to the number of bad units, times
a factor known exactly. So it costs one convolution, however many units were bad. The binomials are
cut eight spreads from their means; what is cut is positive, so it can only understate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.log_factorial import log_choose

_SPREADS_KEPT: Final = 8.0
"""Standard deviations of each binomial that are computed: about 1e-15 lies beyond them."""
_SLACK: Final = 12
"""Counts added on either side, as a binomial of few units is wider than its spread says."""
_LEAST_MASS: Final = 1e-40
"""Far below what the sum can hold, far above the denormal numbers that slow all else down."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Units of one arm in a window and how many of them were bad."""

    units: int
    bad: int

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.units:
            raise ValueError("bad units are negative or exceed the units")


@dataclass(frozen=True, slots=True)
class Arms:
    """Both arms of a window. Hold back what came to one arm until `has_both`, then bet once.

    Whether to wait depends on numbers of units and never on outcomes, which keeps it valid.
    """

    candidate: Arm
    stable: Arm

    @property
    def has_both(self) -> bool:
        """Whether both arms have at least one unit."""
        return self.candidate.units > 0 and self.stable.units > 0


def log_increments(arms: Arms, margin: float, bets: FloatArray) -> FloatArray:
    """Log-wealth won on a window of two separate arms, (n_bets,) for (n_bets,) bets.

    Harm is candidate's outcome minus stable's, so `bets` come from `signed_bets` with the range
    [-1, 1] and the same margin. A window with an empty arm wins nothing.

    Source: derived for this project, in the family of Turner, Ly and Grünwald (2024).
    """
    if not arms.has_both:
        return np.zeros_like(bets)
    candidate_is_smaller = arms.candidate.units <= arms.stable.units
    smaller, larger = (
        (arms.candidate, arms.stable) if candidate_is_smaller else (arms.stable, arms.candidate)
    )
    classes = _classes(smaller, larger, margin, bets, candidate_is_smaller)
    if larger.bad == 0:
        # One way to be without bad units: every place misses. Most small batches are like this.
        return np.asarray(sum(group.size * group.miss for group in classes), dtype=np.float64)
    shift = _tilt(classes, larger)
    log_total = log_choose(larger.units, larger.bad) + larger.bad * shift
    mass = _chance_of_total(classes, shift, larger.bad)
    size = np.array([[group.size] for group in classes], dtype=np.float64)
    hit, miss = np.stack([g.hit for g in classes]), np.stack([g.miss for g in classes])
    factor = np.sum(size * np.logaddexp(hit + shift, miss), axis=0)
    result: FloatArray = factor + np.log(mass) - log_total
    return result


class _Class(NamedTuple):
    """Places of the larger arm: log payoffs (n_bets,) when the unit there is bad, or good."""

    size: int
    hit: FloatArray
    miss: FloatArray


def _classes(
    smaller: Arm, larger: Arm, margin: float, bets: FloatArray, candidate_is_smaller: bool
) -> tuple[_Class, _Class, _Class]:
    """Places paired with a bad unit of the smaller arm, with a good one, and with none."""
    alike, unpaired = np.log1p(-bets * margin), np.zeros_like(bets)
    candidate_alone = np.log1p(bets * (1.0 - margin))
    stable_alone = np.log1p(-bets * (1.0 + margin))
    if candidate_is_smaller:
        smaller_alone, larger_alone = candidate_alone, stable_alone
    else:
        smaller_alone, larger_alone = stable_alone, candidate_alone
    return (
        _Class(smaller.bad, alike, smaller_alone),
        _Class(smaller.units - smaller.bad, larger_alone, alike),
        _Class(larger.units - smaller.units, unpaired, unpaired),
    )


def _tilt(classes: tuple[_Class, ...], larger: Arm) -> FloatArray:
    """Log-odds (n_bets,) at which the classes expect about as many bad units as there are.

    Any tilt gives the same sum; a good one keeps its mass where it is computed. So bisection stops
    at half a spread of the number of bad units.
    """
    base = np.log((larger.bad + 0.5) / (larger.units - larger.bad + 0.5))
    tilts = np.stack([group.hit - group.miss for group in classes])
    sizes = np.array([group.size for group in classes], dtype=np.float64)
    lower, upper = base - np.max(tilts, axis=0) - 1.0, base - np.min(tilts, axis=0) + 1.0
    precision = 0.5 / np.sqrt(larger.bad + 1.0)
    while np.max(upper - lower) > precision:
        shift = 0.5 * (lower + upper)
        short = sizes @ _logistic(tilts + shift) < larger.bad
        lower, upper = np.where(short, shift, lower), np.where(short, upper, shift)
    result: FloatArray = 0.5 * (lower + upper)
    return result


def _chance_of_total(classes: tuple[_Class, ...], shift: FloatArray, total: int) -> FloatArray:
    """Chance (n_bets,) that the tilted binomials of the classes add up to `total`."""
    runs = [_run(group, shift, total) for group in classes]
    chance = np.zeros(shift.shape)
    for bet in range(shift.size):
        kept = sorted((_cut(start, mass[bet]) for start, mass in runs), key=lambda run: run[1].size)
        (start_a, a), (start_b, b), (start_c, c) = kept
        pair = np.convolve(a, b)
        # pair[i] stands for i + start_a + start_b bad units; the third class has the rest.
        rest = total - start_a - start_b - start_c - np.arange(pair.size)
        possible = (rest >= 0) & (rest < c.size)
        chance[bet] = pair[possible] @ c[rest[possible]]
    return chance


def _cut(start: int, mass: FloatArray) -> tuple[int, FloatArray]:
    """A run without its ends that cannot matter; denormal numbers would slow all else down."""
    kept = np.flatnonzero(mass > _LEAST_MASS)
    return start + int(kept[0]), mass[kept[0] : kept[-1] + 1]


def _run(group: _Class, shift: FloatArray, most: int) -> tuple[int, FloatArray]:
    """First count and (n_bets, n_counts) probabilities of a class's tilted binomial."""
    log_odds = group.hit - group.miss + shift
    chance = _logistic(log_odds)
    reach = _SPREADS_KEPT * np.sqrt(group.size * chance * (1.0 - chance)) + _SLACK
    first = max(0, int(np.min(group.size * chance - reach)))
    last = min(most, group.size, int(np.max(group.size * chance + reach)) + 1)
    counts = np.arange(first, last + 1)
    log_none = -group.size * np.logaddexp(0.0, log_odds)
    log_mass = log_choose(group.size, counts) + np.outer(log_odds, counts) + log_none[:, None]
    return first, np.exp(log_mass)


def _logistic(log_odds: FloatArray) -> FloatArray:
    result: FloatArray = 1.0 / (1.0 + np.exp(-log_odds))
    return result
