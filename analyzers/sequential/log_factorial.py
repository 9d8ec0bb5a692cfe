"""log n! for arrays, as numpy has none. A table for small n, Stirling's series beyond it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray

_TABLE_SIZE: Final = 1024
"""From here on two terms of the series are exact to 14 digits."""
_TABLE: Final[FloatArray] = np.concatenate(
    ([0.0], np.cumsum(np.log(np.arange(1.0, float(_TABLE_SIZE)))))
)
_HALF_LOG_TWO_PI: Final = 0.5 * np.log(2.0 * np.pi)


def log_factorial(n: npt.ArrayLike) -> FloatArray:
    """log n! of non-negative integers of any shape, float64, to about 14 digits.

    Source of the series: Stirling (1730), with the terms 1/(12 n) and -1/(360 n³).
    """
    numbers = np.asarray(n, dtype=np.int64)
    small = _TABLE[np.minimum(numbers, _TABLE_SIZE - 1)]
    if numbers.size == 0 or int(numbers.max()) < _TABLE_SIZE:
        return np.asarray(small, dtype=np.float64)
    x = np.maximum(numbers, _TABLE_SIZE).astype(np.float64)
    series = (x + 0.5) * np.log(x) - x + _HALF_LOG_TWO_PI + 1.0 / (12.0 * x) - 1.0 / (360.0 * x**3)
    return np.where(numbers < _TABLE_SIZE, small, series)


def log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """log of the binomial coefficient, broadcast over both; -inf where k < 0 or k > n."""
    total, part = np.broadcast_arrays(np.asarray(n, np.int64), np.asarray(k, np.int64))
    possible = (part >= 0) & (part <= total)
    inside = np.where(possible, part, 0)
    value = log_factorial(total) - log_factorial(inside) - log_factorial(total - inside)
    return np.where(possible, value, -np.inf)
