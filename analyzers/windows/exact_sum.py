"""Sums of floats that are exact until they are read, however many and in whatever order.

Adding floats rounds, so a sum would show in which order its parts came. `math.fsum` does not, but
wants all of them at once. Here a float is its 53 bits as a whole number times a power of two; the
whole numbers are added for each power apart, which takes a few kilobytes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

import numpy as np

_MOST_WAITING: Final = 4_096
"""Floats that wait until they are added at once: enough to share a call of numpy, and 32 kB."""
_BITS: Final = 53
"""Of a float's whole number."""
_HALF_BITS: Final = 27
"""The whole number is added in two halves, so that thousands fit into 64 bits."""


class ExactSum:
    """The exact sum of finite floats."""

    def __init__(self) -> None:
        self._waiting = array("d")
        self._by_power: dict[int, int] = {}
        """Sum of the whole numbers that are multiplied with each power of two."""

    def add(self, values: Sequence[float]) -> None:
        """Add values."""
        self._waiting.extend(values)
        if len(self._waiting) >= _MOST_WAITING:
            self._take_waiting()

    def _take_waiting(self) -> None:
        for power, whole in _by_power(self._waiting):
            self._by_power[power] = self._by_power.get(power, 0) + whole
        self._waiting = array("d")


_FEW: Final = 256
"""Floats a sum that `math.fsum` adds in less time than numpy takes to begin."""


def total(sums: Iterable[ExactSum]) -> float:
    """The sum of sums, rounded once, as `math.fsum` does it."""
    parts = list(sums)
    waiting = [one._waiting for one in parts]
    if sum(map(len, waiting)) <= _FEW * len(parts) and not any(one._by_power for one in parts):
        return math.fsum(chain.from_iterable(waiting))
    by_power: dict[int, int] = {}
    for one in parts:
        one._take_waiting()
        for power, whole in one._by_power.items():
            by_power[power] = by_power.get(power, 0) + whole
    if not by_power:
        return 0.0
    least = min(by_power)
    whole = sum(one << (power - least) for power, one in by_power.items())
    # Division of whole numbers rounds once; a product with a power of two does not round.
    return float(whole << least) if least >= 0 else whole / (1 << -least)


def _by_power(values: Sequence[float]) -> Iterable[tuple[int, int]]:
    """Powers of two, each with the sum of the whole numbers that it multiplies."""
    fractions, exponents = np.frexp(np.asarray(values, dtype=np.float64))
    wholes = np.ldexp(fractions, _BITS).astype(np.int64)
    order = np.argsort(exponents, kind="stable")
    powers, starts = np.unique(exponents[order], return_index=True)
    wholes = wholes[order]
    high = np.add.reduceat(wholes >> _HALF_BITS, starts)
    low = np.add.reduceat(wholes & ((1 << _HALF_BITS) - 1), starts)
    for power, upper, lower in zip(powers.tolist(), high.tolist(), low.tolist(), strict=True):
        yield power - _BITS, (upper << _HALF_BITS) + lower
