"""Sums of measured values that do not depend on the order of adding.

Floating-point addition is not associative, so a sum would show where batches were cut. Values are
therefore rounded to whole ticks and added as integers; sums of squares and products are exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]

LIMBS: Final = 3
"""Parts that a product is added in."""
_LIMB_BITS: Final = 20
"""Two factors below 2^44 make parts below 2^49: 2^14 of them add up within 63 bits."""
_LIMB_MASK: Final = (1 << _LIMB_BITS) - 1
EXACT: Final = 1 << 53
"""Whole numbers up to it are floats without rounding."""
MAX_TICKS: Final = 1 << 44
"""Products of ticks up to this size can be added 10 000 at a time without overflow."""


def to_ticks(values: NDArray[np.float64], tick: float) -> Ticks:
    """Round values (n,) to whole ticks; NaN becomes 0. Raises OverflowError beyond MAX_TICKS."""
    ticks = np.rint(values / tick)
    ticks[np.isnan(ticks)] = 0.0
    if ticks.size and (ticks.max() >= MAX_TICKS or ticks.min() <= -MAX_TICKS):
        raise OverflowError(f"a value exceeds {MAX_TICKS} ticks of {tick}")
    return ticks.astype(np.int64)


def product_limbs(left: Ticks, right: Ticks) -> tuple[Ticks, Ticks, Ticks]:
    """Split the products of ticks (n,) into three summable parts, see `join_limbs`."""
    left_high, left_low = left >> _LIMB_BITS, left & _LIMB_MASK
    right_high, right_low = right >> _LIMB_BITS, right & _LIMB_MASK
    middle = left_high * right_low + left_low * right_high
    return left_high * right_high, middle, left_low * right_low


def join_limbs(high: int, middle: int, low: int) -> int:
    """The exact sum of products from the sums of their parts."""
    return (high << (2 * _LIMB_BITS)) + (middle << _LIMB_BITS) + low
