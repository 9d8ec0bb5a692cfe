"""Confidence sequences: intervals that hold at every look together, by inverting the tests.

The lower end is the greatest margin that rollback evidence rejects, the upper end the least that
promotion evidence rejects. They are for people and for the `within_tolerance` flag; verdicts use
the evidence itself. All functions take many cells at once: (...) cells to (..., 2) ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.analyzers.sequential import unbounded
from understudy.analyzers.sequential.bets import (
    SIGNED_GRID,
    UNIT_GRID,
    BoolArray,
    FloatArray,
    limited_stakes,
    log_evidence,
)

_HALVINGS: Final = 30
"""To 1e-9 of the distance that is searched: far finer than anybody reads."""


def boundaries(
    rejected: Callable[[FloatArray], BoolArray], inside: FloatArray, outside: FloatArray
) -> FloatArray:
    """Return where monotone tests stop rejecting, (...), by bisection.

    `rejected` may hold near `outside` and must not hold at `inside`; what is returned is the margin
    furthest towards `inside` that is known to be rejected, or `outside` when none is.
    """
    edge = outside
    is_rejected = rejected(outside)
    kept = inside
    for _ in range(_HALVINGS):
        middle = 0.5 * (kept + outside)
        is_out = rejected(middle)
        outside, kept = np.where(is_out, middle, outside), np.where(is_out, kept, middle)
    return np.where(is_rejected, outside, edge)


def exact_intervals(
    counts: FloatArray,
    values: FloatArray,
    alpha: float,
    *,
    low: float = -1.0,
    high: float = 1.0,
    design_effect: FloatArray | float = 1.0,
) -> FloatArray:
    """Intervals for the means of harms with few values, `alpha` spent on each side.

    `counts` (..., n_values) are summed since the stage began; evidence is divided by the design
    effect (...). With no units it is (low, high).
    Source: Waudby-Smith and Ramdas (2024).
    """
    units = np.sum(counts, axis=-1)
    mean = np.clip(np.sum(counts * values, axis=-1) / np.maximum(units, 1.0), low, high)
    divisor = np.broadcast_to(design_effect, units.shape)[..., None]
    sign = np.array([1.0, -1.0]).reshape(2, *[1] * (mean.ndim + 1))
    edge = np.stack([np.full_like(mean, low), np.full_like(mean, high)])
    grid = SIGNED_GRID if low < 0.0 else UNIT_GRID
    by_value = np.moveaxis(counts, -1, 0)[:, None, ..., None]
    harms = np.asarray(values).reshape(-1, *[1] * (mean.ndim + 1))

    def rejects(margins: FloatArray) -> BoolArray:
        """Of a lower end for each cell, and of an upper one: (2, ...)."""
        bets = sign * limited_stakes(np.abs(margins - edge), grid)
        payoffs = np.log1p(bets * (harms - margins)[..., None])
        won = np.add.reduce(by_value * payoffs, axis=0)
        is_rejected: BoolArray = log_evidence(won / divisor) >= -np.log(alpha)
        return is_rejected

    found = boundaries(rejects, np.stack([mean, mean]), edge)
    return np.moveaxis(found, 0, -1)


def mean_intervals(
    total: FloatArray,
    weight: FloatArray,
    penalty: FloatArray,
    prior: FloatArray,
    alpha: float,
    *,
    design_effect: FloatArray | float = 1.0,
) -> FloatArray:
    """Intervals for the m at which `total` - m · `weight` has mean zero, `alpha` on each side.

    For a mean harm `total` is Σx taken at margin 0 and `weight` the units. For the relative
    increase of a cost they are Σc - Σs and Σs (unpaired: Σ h·(mean_c - mean_s) and Σ h·mean_s).
    `penalty` is the sum of what was charged, Σx² + 2 n σ̂², held at the policy's margin, and
    `prior` the scale's. All (...). Infinite before anything was staked.
    Source: Howard, Ramdas, McAuliffe and Sekhon (2021), with the mixture of `unbounded`.
    """
    is_staked = (prior > 0.0) & (weight > 0.0)
    bets = unbounded.STAKES / np.sqrt(np.where(is_staked, prior, 1.0))[..., None]
    charged = bets**2 / 6.0 * penalty[..., None]
    divisor = np.broadcast_to(design_effect, prior.shape)[..., None]

    def rejects(deviation: FloatArray) -> BoolArray:
        won = (bets * deviation[..., None] - charged) / divisor
        is_rejected: BoolArray = log_evidence(won) >= -np.log(alpha)
        return is_rejected

    # Where the best bet alone has won what is needed, whatever the others have lost.
    needed = -np.log(alpha) + np.log(bets.shape[-1])
    furthest = np.min((charged + needed * divisor) / bets, axis=-1)
    reach = boundaries(rejects, np.zeros_like(furthest), furthest)
    width = np.where(is_staked, weight, 1.0)
    ends = np.stack([(total - reach) / width, (total + reach) / width], axis=-1)
    return np.where(is_staked[..., None], ends, [-np.inf, np.inf])


def asymptotic_intervals(
    mean: FloatArray,
    variance: FloatArray,
    units: FloatArray,
    alpha: float,
    *,
    tightest_at: float = 5_000.0,
) -> FloatArray:
    """Intervals around means of `units` whose own variances are `variance`, all (...).

    For display only: they hold at every look in the limit of many units, not exactly. They are
    tightest, compared with a fixed sample, at `tightest_at` units, which must not be chosen by the
    data. Infinite without variance.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), asymptotic confidence sequences.
    """
    has_variance = (variance > 0.0) & np.isfinite(variance) & (units > 0.0)
    doubt = -2.0 * np.log(alpha)
    spread = np.where(has_variance, units, 1.0) * (doubt + np.log(doubt) + 1.0) / tightest_at
    known = np.where(has_variance, variance, 1.0)
    reach = np.sqrt(known * (1.0 + 1.0 / spread) * (doubt + np.log1p(spread)))
    ends = np.stack([mean - reach, mean + reach], axis=-1)
    return np.where(has_variance[..., None], ends, [-np.inf, np.inf])
