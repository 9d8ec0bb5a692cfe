"""The normal distribution and Student's, as numpy has neither."""

from __future__ import annotations

import math
from typing import Final

_STEPS: Final = 100
"""Of a bisection between -40 and 40: beyond the last bit."""


def normal_tail(z: float) -> float:
    """Return the chance that a standard normal variable exceeds z."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def normal_quantile(share: float) -> float:
    """Return below what a standard normal variable lies with a chance of `share`, in (0, 1)."""
    low, high = -40.0, 40.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_tail(middle) > 1.0 - share else (low, middle)
    return (low + high) / 2


def student_tail(t: float, freedom: int) -> float:
    """Return the chance that Student's t exceeds a value, to a few per cent from 20 degrees on.

    Source: Abramowitz and Stegun (1964), 26.7.8.
    """
    z = t * (1.0 - 1.0 / (4.0 * freedom)) / math.sqrt(1.0 + t * t / (2.0 * freedom))
    return normal_tail(z)
