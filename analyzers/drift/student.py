"""Student's t for few degrees of freedom, exactly."""

from __future__ import annotations

import math
from typing import Final

_STEPS: Final = 60
"""Of a bisection: beyond what a chance of 1e-15 can tell."""
_MOST: Final = 1e6


def student_p_value(t: float, freedom: int) -> float:
    """Return the chance that |T| exceeds |t|, with whole degrees of freedom of at least 1.

    Source: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4. Below 1e-15 it is 0.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2 == 1
    term = total = cosine if is_odd else 1.0
    for step in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    if not is_odd:
        return max(0.0, 1.0 - sine * total)
    inside = angle + (sine * total if freedom > 1 else 0.0)
    return max(0.0, 1.0 - 2.0 / math.pi * inside)


def student_quantile(p_value: float, freedom: int) -> float:
    """Return what |T| exceeds with a chance of `p_value`, in (0, 1)."""
    low, high = 0.0, _MOST
    for _ in range(_STEPS):
        middle = math.sqrt(low * high) if low > 0.0 else min(1.0, high / 2.0)
        if student_p_value(middle, freedom) > p_value:
            low = middle
        else:
            high = middle
    return high
