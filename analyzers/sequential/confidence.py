"""Confidence sequences: intervals that hold at every look together, by inverting the tests.

The lower end is the greatest margin that rollback evidence rejects, the upper end the least that
promotion evidence rejects. They are for people and for the `within_tolerance` flag; verdicts use
the evidence itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from understudy.analyzers.sequential import exact, unbounded
from understudy.analyzers.sequential.bets import Direction, FloatArray, log_evidence, signed_bets

Interval = tuple[float, float]


def boundary(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where a monotone test stops rejecting, to about 1e-12 of the distance, by bisection.

    `rejected` may hold near `outside` and must not hold at `inside`; returns the margin furthest
    towards `inside` that is known to be rejected, or `outside` when none is.
    """
    if not rejected(outside):
        return outside
    kept = inside
    for _ in range(40):
        middle = 0.5 * (kept + outside)
        if rejected(middle):
            outside = middle
        else:
            kept = middle
    return outside


def exact_interval(
    counts: FloatArray,
    values: FloatArray,
    alpha: float,
    *,
    low: float = -1.0,
    high: float = 1.0,
    overdispersion: float = 1.0,
) -> Interval:
    """Interval for the mean of a harm with few values, `alpha` spent on each side.

    `counts` (n_values,) are summed since the stage began. With no units it is (low, high).
    Source: Waudby-Smith and Ramdas (2024).
    """
    units = float(np.sum(counts))
    if units == 0.0:
        return low, high
    mean = min(max(float(counts @ values) / units, low), high)

    def rejects(direction: Direction) -> Callable[[float], bool]:
        def test(margin: float) -> bool:
            bets = signed_bets(direction, margin, low=low, high=high)
            won = exact.log_increments(counts, values, margin, bets) / overdispersion
            return bool(log_evidence(won) >= -np.log(alpha))

        return test

    return boundary(rejects("rollback"), mean, low), boundary(rejects("promotion"), mean, high)


def mean_interval(
    total: float,
    weight: float,
    penalty: float,
    prior: float,
    alpha: float,
    *,
    overdispersion: float = 1.0,
) -> Interval:
    """Interval for the m at which `total` - m · `weight` has mean zero, `alpha` on each side.

    For a mean harm `total` is Σx taken at margin 0 and `weight` the units. For the relative
    increase of a cost they are Σc - Σs and Σs (unpaired: Σ h·(mean_c - mean_s) and Σ h·mean_s).
    `penalty` is the sum of `unbounded.penalty`, held at the policy's margin, and `prior` the
    scale's. Infinite before anything was staked.
    Source: Howard, Ramdas, McAuliffe and Sekhon (2021), with the mixture of `unbounded`.
    """
    if prior <= 0.0 or weight <= 0.0:
        return -np.inf, np.inf
    bets = unbounded.STAKES / np.sqrt(prior)

    def rejects(deviation: float) -> bool:
        won = (bets * deviation - bets**2 / 6.0 * penalty) / overdispersion
        return bool(log_evidence(won) >= -np.log(alpha))

    furthest = overdispersion / float(bets[-1])
    while not rejects(furthest):
        furthest *= 2.0
    reach = boundary(rejects, 0.0, furthest)
    return (total - reach) / weight, (total + reach) / weight


def asymptotic_interval(
    mean: float, variance: float, units: float, alpha: float, *, tightest_at: float = 5_000.0
) -> Interval:
    """Interval around a mean of `units` whose own variance is `variance`, `alpha` on both sides.

    For display only: it holds at every look in the limit of many units, not exactly. It is
    tightest, compared with a fixed sample, at `tightest_at` units, which must not be chosen by the
    data. Infinite without variance.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), asymptotic confidence sequences.
    """
    if variance <= 0.0 or not np.isfinite(variance):
        return -np.inf, np.inf
    doubt = -2.0 * np.log(alpha)
    spread = units * (doubt + np.log(doubt) + 1.0) / tightest_at
    reach = float(np.sqrt(variance * (1.0 + 1.0 / spread) * (doubt + np.log1p(spread))))
    return mean - reach, mean + reach
