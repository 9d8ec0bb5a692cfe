"""The chance of a rare outcome as often as it was seen, where no bell curve holds. Pure."""

from __future__ import annotations

import math
from typing import Final

MANY: Final = 200.0
"""Expected outcomes from which a bell curve holds: the skew is below a tenth."""


def rare_p_value(seen: float, expected: float, dispersion: float) -> float:
    """Return the chance, either way, of a Poisson count as far from what is expected.

    Outcomes come `dispersion` at a time, so so many fewer are independent. 0 where there are so
    many that another test tells.
    """
    mean, count = expected / dispersion, seen / dispersion
    if mean >= MANY:
        return 0.0
    tail = _at_least(math.floor(count), mean) if count > mean else _at_most(math.ceil(count), mean)
    return min(1.0, 2.0 * tail)


def _at_most(count: int, mean: float) -> float:
    if mean <= 0.0:
        return 1.0
    logs = (n * math.log(mean) - mean - math.lgamma(n + 1.0) for n in range(count + 1))
    return min(1.0, math.fsum(map(math.exp, logs)))


def _at_least(count: int, mean: float) -> float:
    return max(0.0, 1.0 - _at_most(count - 1, mean)) if count > 0 else 1.0
