"""log n! and binomial chances for arrays, as numpy has none.

A table for small n, Stirling's series beyond it.
"""

from __future__ import annotations

import math
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
_REMAINDERS: Final[FloatArray] = np.array(
    [0.0]
    + [
        math.log(math.factorial(n) / math.sqrt(2.0 * math.pi * n) * (math.e / n) ** n)
        for n in range(1, 20)
    ]
)
"""Of Stirling's formula for n below 20, where four terms of the series are not exact yet."""


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


def log_binomial(
    successes: FloatArray, trials: FloatArray, chance: FloatArray, other: FloatArray
) -> FloatArray:
    """log of the chance of so many successes, `other` = 1 - `chance`; arrays of one shape.

    Accurate to about 15 digits of the chance itself, where differences of log n! lose as many as
    n has. Neither `chance` nor `other` may be 0.

    Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.
    """
    failures = trials - successes
    some = (successes > 0) & (failures > 0)
    k, rest = np.where(some, successes, 1.0), np.where(some, failures, 1.0)
    n = k + rest
    spread = 0.5 * np.log(2.0 * np.pi * k * (rest / n))
    remainder = _remainder(n) - _remainder(k) - _remainder(rest)
    inside = remainder - _deviance(k, n * chance) - _deviance(rest, n * other) - spread
    ends = np.where(successes > 0, trials * np.log(chance), trials * np.log(other))
    result: FloatArray = np.where(some, inside, ends)
    return result


def _deviance(count: FloatArray, expected: FloatArray) -> FloatArray:
    """count · log(count / expected) + expected - count."""
    excess = count - expected
    result: FloatArray = count * np.log1p(excess / expected) - excess
    return result


def _remainder(n: FloatArray) -> FloatArray:
    """log n! beyond Stirling's (n + 1/2) log n - n + log(2 pi) / 2; n is at least 1."""
    inverse = 1.0 / n**2
    series = (
        1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - inverse / 1680.0) * inverse) * inverse
    ) / n
    small = _REMAINDERS[np.minimum(n, _REMAINDERS.size - 1).astype(np.int64)]
    result: FloatArray = np.where(n < _REMAINDERS.size, small, series)
    return result
