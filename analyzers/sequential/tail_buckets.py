"""Quantiles tested as tail exceedance, from log-bucketed histograms.

"The candidate's p99 is at most r times stable's" becomes "the candidate exceeds r·y no more often
than stable exceeds y", y being stable's p99 in earlier data. Both are binary outcomes with margin
0, so they go to `two_arm`, or to `exact` where each pair's joint outcome was counted.

A histogram is sparse, {bucket: count}; bucket k covers (gamma^(k-1), gamma^k]. A threshold is
a bucket's upper edge and is named by that bucket, so that counting above it is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from understudy.analyzers.sequential.bets import Direction

GAMMA: Final = 1.01 / 0.99
"""Ratio of a bucket's edges: 1 % relative error (Masson, Rim and Lee, 2019: DDSketch)."""
ENOUGH_UNITS: Final = 500
"""Stable requests that a first threshold rests on: five of them lie beyond a p99. Any threshold is
valid; one that is a little off tells the sides apart a little later."""

LEAST_BEYOND: Final = 0.25
"""Of the requests that should exceed a quantile, those that do, as a share: with fewer, a threshold
tells the sides apart four times as slowly."""
MOST_BEYOND: Final = 2.0
"""Likewise: with more it is another quantile."""


def reference_bucket(
    histogram: Mapping[int, int], quantile: float, *, enough_units: int = ENOUGH_UNITS
) -> int | None:
    """The bucket that holds stable's `quantile`, or None below `enough_units` units.

    Where many requests take the same time, hardly any may exceed that bucket. Then it is the one
    before, if about as many as should exceed that: what nobody exceeds tells the sides apart no
    longer. Take it from data earlier than what will be tested with it. Raises ValueError unless
    0 < quantile < 1.
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"a quantile lies between 0 and 1, not at {quantile}")
    units = sum(histogram.values())
    if units < max(1, enough_units):
        return None
    rank, below, previous = quantile * units, 0, None
    for bucket in sorted(histogram):
        reached = below + histogram[bucket]
        if reached >= rank:
            beyond, beyond_previous = units - reached, units - below
            wanted = units - rank
            is_too_far = beyond < LEAST_BEYOND * wanted
            if previous is not None and is_too_far and beyond_previous <= MOST_BEYOND * wanted:
                return previous
            return bucket
        below, previous = reached, bucket
    return max(histogram)


def raised_bucket(bucket: int, ratio: float, direction: Direction) -> int:
    """The bucket whose upper edge stands for `ratio` times that of `bucket`.

    Rounded up for rollback and down for promotion, so rounding never helps either verdict. Raises
    ValueError when the ratio is not positive.
    """
    if ratio <= 0.0:
        raise ValueError("a tolerated ratio is positive")
    steps = math.log(ratio) / math.log(GAMMA)
    nearest = round(steps)
    # A ratio that is a whole number of buckets must not be moved by the last bit of its logarithm.
    if abs(steps - nearest) < 1e-9:
        return bucket + nearest
    return bucket + (math.ceil(steps) if direction == "rollback" else math.floor(steps))
