"""Bets: the grid of stakes that evidence is a mixture over, and the log-wealth they win.

A bettor who doubts "the harm is at most m" stakes a constant fraction on every unit. Its wealth is
an e-process; the evidence is the mean wealth over a grid of stakes. Constant stakes make the log
increments of windows, partitions and languages add up in any order.

Not here: how a window's increment is made (exact, two_arm, unbounded) or what a sum of evidence
decides (verdict).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Direction = Literal["rollback", "promotion"]

SIGNED_GRID: Final[FloatArray] = 2.0 ** -np.arange(0.0, 6.0)
"""Stakes for a harm in [-1, 1]: 1, 1/2 … 1/32."""
UNIT_GRID: Final[FloatArray] = 2.0 ** -np.arange(-3.0, 6.0)
"""Stakes for a harm in [0, 1]: 8, 4 … 1/32."""

LARGEST_LOSS: Final = 0.99
"""Share of the wealth that one unit may cost: a bettor who loses everything never recovers."""


def signed_bets(
    direction: Direction,
    margin: float | FloatArray,
    *,
    low: float = -1.0,
    high: float = 1.0,
    grid: FloatArray | None = None,
) -> FloatArray:
    """Stakes against one null hypothesis, each leaving wealth positive whatever a unit shows.

    `rollback` doubts that the mean harm is at most `margin` (positive stakes); `promotion` doubts
    that it is at least `margin` (negative stakes). Harm lies in [`low`, `high`]. Without a `grid`,
    harm that can be negative gets `SIGNED_GRID`, other harm `UNIT_GRID`.

    Returns (n_bets,) float64, or (..., n_bets) of (...) margins. Raises ValueError unless
    low <= margin <= high and low < high.
    Source: Waudby-Smith and Ramdas (2024), section on bets for bounded means.
    """
    margins = np.asarray(margin, dtype=np.float64)
    if not (low < high and bool(np.all((low <= margins) & (margins <= high)))):
        raise ValueError(f"margin {margin} must lie within the harm's range [{low}, {high}]")
    stakes = grid if grid is not None else (SIGNED_GRID if low < 0.0 else UNIT_GRID)
    sign = 1.0 if direction == "rollback" else -1.0
    room = margins - low if direction == "rollback" else high - margins
    result: FloatArray = sign * limited_stakes(room, stakes)
    return result


def limited_stakes(room: FloatArray, stakes: FloatArray) -> FloatArray:
    """Return stakes (n_bets,) limited so that no unit costs more than `LARGEST_LOSS`.

    `room` (...) is the distance of a margin from the harm that costs most: to (..., n_bets).
    """
    room = room[..., None]
    most = np.divide(LARGEST_LOSS, room, out=np.full_like(room, np.inf), where=room > 0.0)
    result: FloatArray = np.minimum(stakes, most)
    return result


def columns(values: FloatArray) -> list[FloatArray]:
    """Return the columns along the last axis: (..., n) to n of (...), as views."""
    return [values[..., place] for place in range(values.shape[-1])]


def log_sum_exp(values: FloatArray) -> FloatArray:
    """log Σ exp over the last axis without overflow: (..., n) to (...). An empty sum is -inf."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], -np.inf)
    top = np.maximum.reduce(values, axis=-1, keepdims=True)
    is_finite = np.isfinite(top)
    if not is_finite.all():
        top = np.where(is_finite, top, 0.0)
    sums = np.add.reduce(np.exp(values - top), axis=-1)
    if sums.all():
        logs = np.log(sums)
    else:
        with np.errstate(divide="ignore"):
            logs = np.log(sums)
    result: FloatArray = logs + top[..., 0]
    return result


def log_evidence(log_wealth: FloatArray) -> FloatArray:
    """Log of the mean wealth over the bets: (..., n_bets) to (...), natural logarithm."""
    result: FloatArray = log_sum_exp(log_wealth) - np.log(log_wealth.shape[-1])
    return result
