"""Histograms that add up: logarithmic buckets for times and ratios, hundredths for similarity.

A logarithmic bucket k covers (GAMMA^(k-1), GAMMA^k]; every value in it lies within 1 % of the
bucket's representative value (Masson, Rim, Lee, *DDSketch*, 2019). Histograms are sparse: a
mapping of bucket index to count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
SMALLEST_VALUE: Final = 1e-6
"""Values below this, zero among them, fall into the bucket of this value."""

_LN_GAMMA: Final = float(np.log(GAMMA))


def log_bucket(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bucket index of each value; values (n,) of at least 0, NaN not allowed."""
    floored = np.maximum(values, SMALLEST_VALUE)
    return np.ceil(np.log(floored) / _LN_GAMMA).astype(np.int64)


def bucket_value(bucket: int) -> float:
    """The value that stands for a bucket: within 1 % of everything in it."""
    return float(2.0 * GAMMA**bucket / (GAMMA + 1.0))


def bucket_upper_edge(bucket: int) -> float:
    """The largest value that falls into the bucket."""
    return float(GAMMA**bucket)


def hundredths(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """floor(100 x value) for values (n,) in [0, 1]; exactly 1 has a bucket of its own."""
    return np.floor(values * 100.0).astype(np.int64)


TENTHS: Final = 10
"""Steps from the middle of a scale to each end: 21 buckets of differences from -1 to 1."""


def tenths(differences: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Tenths of differences (n,) in [-1, 1], each rounded up with the chance of its rest.

    `chance` (n,) in [0, 1) decides. So the mean of a difference stays what it is, which rounding to
    the nearest or in one direction would not leave: a step is many times a margin.
    """
    scaled = TENTHS * differences
    # What differs from a whole tenth by its last bits alone is that tenth.
    whole = np.round(scaled)
    scaled = np.where(np.abs(scaled - whole) < _SCALE_ROUNDING, whole, scaled)
    below = np.floor(scaled)
    rounded: NDArray[np.float64] = below + (chance < scaled - below)
    return np.clip(rounded, -TENTHS, TENTHS).astype(np.int64)


_SCALE_ROUNDING: Final = 1e-9
"""Tenths: far more than a few operations lose, far less than anybody's score resolves."""


def quantile(histogram: Mapping[int, int], q: float) -> float:
    """The q-quantile (the smallest value with at least q of the counts at or below it).

    NaN for an empty histogram. Relative error at most 1 %. Raises ValueError unless 0 <= q <= 1.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"q must lie in [0, 1], not {q}")
    total = sum(histogram.values())
    if total == 0:
        return float("nan")
    rank = max(1, int(np.ceil(q * total)))
    below = 0
    for bucket in sorted(histogram):
        below += histogram[bucket]
        if below >= rank:
            return bucket_value(bucket)
    raise AssertionError("counts do not add up")


def merge(*histograms: Mapping[int, int]) -> dict[int, int]:
    """The sum of histograms, buckets in ascending order."""
    total: dict[int, int] = {}
    for histogram in histograms:
        if not total:
            total = dict(histogram)
            continue
        for bucket, count in histogram.items():
            if bucket in total:
                total[bucket] += count
            else:
                total[bucket] = count
    return dict(sorted(total.items()))
