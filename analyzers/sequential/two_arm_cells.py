"""Exact evidence on two separate arms with a binary outcome, for many cells (windows x slices).

Nothing says which unit of one arm belongs to which of the other, so the payoff of pairs is averaged
over every way of pairing the smaller arm into the larger. To the larger arm's bad units its places
fall into three classes: paired with a bad unit of the smaller arm, paired with a good one,
unpaired. A place multiplies the wealth by one payoff if the bad unit is there and by another if
not; so the average is one coefficient of a product of three binomials, divided by C(N, K), with N
units in the larger arm, K of them bad. It stays an e-value whatever the base rate does from window
to window and needs no nuisance parameter.

For few bad units the product is multiplied out. For more, the coefficient is the chance that three
tilted binomials add up to K. That is the mean of their characteristic function over a turn, of
which a few points give all digits: the sum is narrow, or its characteristic function is.

Each cell's result depends on its own counts alone, to the last bit, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.log_factorial import log_binomial

MULTIPLIED_OUT: Final = 8
"""Bad units up to which multiplying out is cheaper than the integral, and far from overflow."""
_NEGLIGIBLE: Final = 38.0
"""Minus the log of what is left out of a sum: 3e-17 of it."""
_NARROW: Final = 40.0
"""Variance from which the characteristic function is narrow."""
_POINTS_NARROW: Final = 18
_POINTS_WIDE: Final = 28
"""Points that the integral takes in half a turn, at most, by `_period` and `_NEGLIGIBLE`."""
_NEAR: Final = 0.1
"""Spreads by which the expected number of bad units may miss the real one."""
_MOST_STEPS: Final = 100
"""Of Newton's method within a bracket, which halves where Newton's leaves it; 3 to 6 will do."""
_CHUNK: Final = 1_024
"""Integrals at once: their points fit into a processor's cache."""
_PACKED: Final = 1 << 13
"""Counts below this are packed into one number, four of them and a kind, which sorts faster."""
_PACKED_KINDS: Final = 1 << 8
"""Likewise, of kinds."""


class Payoffs(NamedTuple):
    """What each bet wins on a pair, as a share of the wealth, (n_bets,): by who is bad in it."""

    both: FloatArray
    candidate_only: FloatArray
    stable_only: FloatArray
    neither: FloatArray

    @classmethod
    def of(cls, margin: float, bets: FloatArray, ratio: float = 1.0) -> Payoffs:
        """Of the harm candidate - ratio · stable, held against a margin."""
        harms = (1.0 - ratio, 1.0, -ratio, 0.0)
        return cls(*(bets * (harm - margin) for harm in harms))

    @classmethod
    def stacked(cls, kinds: Sequence[Payoffs]) -> Payoffs:
        """Return those of several kinds of cells, (n_kinds, n_bets)."""
        return cls(*(np.stack(parts) for parts in zip(*kinds, strict=True)))


def log_increments(
    candidate_units: FloatArray,
    candidate_bad: FloatArray,
    stable_units: FloatArray,
    stable_bad: FloatArray,
    payoffs: Payoffs,
    kinds: npt.NDArray[np.int64] | None = None,
) -> FloatArray:
    """Log-wealth won on cells of two arms: four (...) of whole numbers to (..., n_bets).

    Payoffs are the same for all cells, or those of kinds, which cells are of (...). A cell with an
    empty arm wins nothing. Raises ValueError where more are bad than there are.

    Source: derived for this project, in the family of Turner, Ly and Grünwald (2024).
    """
    if kinds is None:
        kinds, payoffs = np.zeros((), dtype=np.int64), Payoffs.stacked([payoffs])
    counts = np.broadcast_arrays(candidate_units, candidate_bad, stable_units, stable_bad, kinds)
    cells = np.stack(counts, axis=-1).reshape(-1, 5).astype(np.int64)
    if (cells[:, 1] > cells[:, 0]).any() or (cells[:, 3] > cells[:, 2]).any() or (cells < 0).any():
        raise ValueError("bad units are negative or exceed the units")
    n_bets = payoffs.both.shape[-1]
    won = np.zeros((cells.shape[0], n_bets))
    has_both = np.flatnonzero((cells[:, 0] > 0) & (cells[:, 2] > 0))
    if has_both.size:
        distinct, place = _distinct(cells[has_both])
        won[has_both] = _won(distinct, payoffs)[place]
    return won.reshape(*counts[0].shape, n_bets)


def _distinct(cells: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """The different cells (m, 5), and which of them each is: small slices repeat a few."""
    if cells[:, :-1].max() < _PACKED and cells[:, -1].max() < _PACKED_KINDS:
        packed = (cells << np.array([50, 36, 22, 8, 0])).sum(axis=1)
        _, first, place = np.unique(packed, return_index=True, return_inverse=True)
        return cells[first], place
    distinct, place = np.unique(cells, axis=0, return_inverse=True)
    return distinct, place.reshape(-1)


def _won(cells: npt.NDArray[np.int64], payoffs: Payoffs) -> FloatArray:
    """(m, n_bets) of cells with both arms."""
    candidate, candidate_bad, stable, stable_bad, kinds = cells.T
    is_smaller = candidate <= stable  # the candidate's arm
    smaller, larger = np.where(is_smaller, [candidate, stable], [stable, candidate])
    smaller_bad, larger_bad = np.where(
        is_smaller, [candidate_bad, stable_bad], [stable_bad, candidate_bad]
    )
    both, candidate_only, stable_only, neither = (of_kind[kinds] for of_kind in payoffs)
    smaller_only, larger_only = np.where(
        is_smaller[:, None], [candidate_only, stable_only], [stable_only, candidate_only]
    )
    sizes = np.stack([smaller_bad, smaller - smaller_bad, larger - smaller])
    hit = np.stack([both, larger_only, np.zeros_like(both)])
    miss = np.stack([smaller_only, neither, np.zeros_like(both)])
    return _paired_into(_Places(sizes.astype(np.float64), hit, miss), larger_bad)


class _Places(NamedTuple):
    """The larger arm's places by class: paired with a bad unit, with a good one, with none.

    (3, m) sizes, and the (3, m, n_bets) payoffs when the unit there is bad (a hit), or good (a
    miss).
    """

    sizes: FloatArray
    hit: FloatArray
    miss: FloatArray

    def of(self, cells: npt.NDArray[np.bool_]) -> _Places:
        """Those of some cells."""
        return _Places(*(part[:, cells] for part in self))


def _paired_into(places: _Places, bad: npt.NDArray[np.int64]) -> FloatArray:
    """(m, n_bets) of m cells whose larger arm has (m,) bad units."""
    won = _all_missed(places)
    for count in range(1, MULTIPLIED_OUT + 1):
        cells = bad == count
        if cells.any():
            won[cells] += _multiplied_out(places.of(cells), count)
    many = bad > MULTIPLIED_OUT
    if many.any():
        won[many] = _integrated(places.of(many), bad[many].astype(np.float64))
    return won


def _all_missed(places: _Places) -> FloatArray:
    """(m, n_bets) without a bad unit in the larger arm."""
    missed = np.log1p(places.miss[:2])
    bad, good, _ = places.sizes
    result: FloatArray = bad[:, None] * missed[0] + good[:, None] * missed[1]
    return result


def _multiplied_out(places: _Places, bad: int) -> FloatArray:
    """(m, n_bets) of cells that have the same few bad units, beyond `_all_missed`."""
    odds = (1.0 + places.hit) / (1.0 + places.miss)
    first, second, spare = (
        _powers(size[:, None], ratio, bad) for size, ratio in zip(places.sizes, odds, strict=True)
    )
    total = np.zeros_like(first[0])
    for of_first in range(bad + 1):
        rest = np.zeros_like(total)
        for of_second in range(bad - of_first + 1):
            rest += second[of_second] * spare[bad - of_first - of_second]
        total += first[of_first] * rest
    ways = _powers(np.sum(places.sizes, axis=0)[:, None], np.ones(1), bad)[bad]
    result: FloatArray = np.log(total / ways)
    return result


def _powers(size: FloatArray, odds: FloatArray, degree: int) -> list[FloatArray]:
    """Coefficients of (1 + odds · z)^size up to a degree, each (m, n_bets)."""
    powers = [np.ones(np.broadcast_shapes(size.shape, odds.shape))]
    for power in range(degree):
        powers.append(powers[-1] * ((size - power).clip(0.0) / (power + 1.0) * odds))
    return powers


def _integrated(places: _Places, bad: FloatArray) -> FloatArray:
    """(m, n_bets) of cells with more bad units, (m,)."""
    n_cells, n_bets = bad.size, places.hit.shape[-1]
    sizes = np.repeat(places.sizes, n_bets, axis=1)
    hit, miss = places.hit.reshape(3, -1), places.miss.reshape(3, -1)
    wanted = np.repeat(bad, n_bets)
    parts = [
        _chance_ratio(sizes[:, part], hit[:, part], miss[:, part], wanted[part])
        for part in (slice(at, at + _CHUNK) for at in range(0, wanted.size, _CHUNK))
    ]
    return np.concatenate(parts).reshape(n_cells, n_bets)


def _chance_ratio(
    sizes: FloatArray, hit: FloatArray, miss: FloatArray, bad: FloatArray
) -> FloatArray:
    """(n,) logs of: chance of so many bad units under the payoffs, by that without them.

    Both under one tilt, at which about as many bad units are expected as there are: then neither
    is a small number, and any tilt gives the same ratio.
    """
    units = np.sum(sizes, axis=0)
    gain = np.log1p(hit) - np.log1p(miss)
    tilt = _tilt(sizes, gain, units, bad)
    chance, other = _logistic(tilt), _logistic(-tilt)
    factor = np.sum(sizes * np.log1p(chance * hit + other * miss), axis=0)
    tilted = _chance_of_total(sizes, tilt + gain, bad)
    result: FloatArray = factor + np.log(tilted) - log_binomial(bad, units, chance, other)
    return result


def _tilt(sizes: FloatArray, gain: FloatArray, units: FloatArray, bad: FloatArray) -> FloatArray:
    """Log-odds (n,) at which the classes expect about as many bad units as there are."""
    base = np.log((bad + 0.5) / (units - bad + 0.5))
    lower, upper = base - np.max(gain, axis=0), base - np.min(gain, axis=0)
    tilt: FloatArray = 0.5 * (lower + upper)
    for _ in range(_MOST_STEPS):
        chance, other = _logistic(tilt + gain), _logistic(-tilt - gain)
        short = bad - np.sum(sizes * chance, axis=0)
        slope = np.sum(sizes * chance * other, axis=0)
        is_near = np.abs(short) <= _NEAR * np.sqrt(slope + 1.0)
        if is_near.all():
            break
        lower, upper = np.where(short > 0.0, tilt, lower), np.where(short > 0.0, upper, tilt)
        step = tilt + short / slope
        is_within = (step > lower) & (step < upper)
        tilt = np.where(is_near, tilt, np.where(is_within, step, 0.5 * (lower + upper)))
    return tilt


def _chance_of_total(sizes: FloatArray, log_odds: FloatArray, total: FloatArray) -> FloatArray:
    """Chance (n,) that the binomials of three classes add up to (n,) totals."""
    chance, other = _logistic(log_odds), _logistic(-log_odds)
    variance = np.sum(sizes * chance * other, axis=0)
    result = np.empty_like(total)
    for which, points in (
        (variance >= _NARROW, _POINTS_NARROW),
        (variance < _NARROW, _POINTS_WIDE),
    ):
        if which.any():
            parts = sizes[:, which], chance[:, which], other[:, which]
            result[which] = _mean_over_turn(*parts, total[which], variance[which], points)
    return result


def _mean_over_turn(
    sizes: FloatArray,
    chance: FloatArray,
    other: FloatArray,
    total: FloatArray,
    variance: FloatArray,
    points: int,
) -> FloatArray:
    """The same (n,) from equally spaced points of the characteristic function.

    So many points to a turn that what is further than that from the total has no chance to speak
    of (Bernstein's inequality). Odd, so that no point lies at half a turn.
    """
    reach = _NEGLIGIBLE / 3.0
    period = 2.0 * np.ceil(0.5 * (reach + np.sqrt(reach**2 + 2.0 * _NEGLIGIBLE * variance))) + 1.0
    angle = (2.0 * np.pi / period)[:, None] * np.arange(1.0, points + 1.0)
    cosine, sine, versine = np.cos(angle), np.sin(angle), 2.0 * np.sin(0.5 * angle) ** 2
    log_size, phase = np.zeros_like(angle), -total[:, None] * angle
    for size, p, q in zip(sizes[..., None], chance[..., None], other[..., None], strict=True):
        log_size += (0.5 * size) * np.log1p(-2.0 * p * q * versine)
        phase += size * np.arctan2(p * sine, q + p * cosine)
    inside = np.arange(1.0, points + 1.0) <= 0.5 * (period[:, None] - 1.0)
    waves = np.where(inside, np.exp(log_size) * np.cos(phase), 0.0)
    result: FloatArray = (1.0 + 2.0 * np.sum(waves, axis=-1)) / period
    return result


def _logistic(log_odds: FloatArray) -> FloatArray:
    result: FloatArray = 1.0 / (1.0 + np.exp(-log_odds))
    return result
