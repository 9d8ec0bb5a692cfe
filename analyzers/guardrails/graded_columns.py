"""What evaluators say, as statistics of a check: counts by tenths of the difference, and levels.

Statistics are arrays (..., k) with the fields `GRADED_FIELDS` along their last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.windows.histogram import TENTHS
from understudy.schemas.rollout_metrics import QUALITY_PREFERENCE, QUALITY_SCORE

N_GRADES: Final = 2 * TENTHS + 1
DIFFERENCES: Final[FloatArray] = np.arange(-TENTHS, TENTHS + 1) / TENTHS
"""The candidate's grade less stable's that each bucket stands for, as a share of the scale."""
_LEVELS: Final = ("score_stable_sum", "score_candidate_sum")
_ORDERS: Final = (
    "orders", "first_preferred", "second_preferred", "both_orders", "both_orders_alike"
)  # fmt: skip
GRADED_FIELDS: Final[tuple[str, ...]] = (
    *(f"difference_{tenth:+d}" for tenth in range(-TENTHS, TENTHS + 1)),
    *_LEVELS,
    *_ORDERS,
    *(f"noise_{tenth:+d}" for tenth in range(-TENTHS, TENTHS + 1)),
)
"""Judged pairs by difference in tenths; sums of scores; how answers turn with the order in which
they were shown; and pairs of stable and its second run by difference."""
GRADES: Final = slice(0, N_GRADES)
NOISE: Final = slice(len(GRADED_FIELDS) - N_GRADES, len(GRADED_FIELDS))
_HISTOGRAMS: Final = {
    QUALITY_PREFERENCE.name: "preference_histogram",
    QUALITY_SCORE.name: "score_histogram",
}


def place_of(field: str) -> int:
    """Return where a field stands along the last axis."""
    return GRADED_FIELDS.index(field)


def quality_read(metric: str, evaluator: str) -> Callable[[RowColumns], tuple[FloatArray, ...]]:
    """Return what reads the statistics of one evaluator's rows."""
    histogram = _HISTOGRAMS[metric]
    is_scored = metric == QUALITY_SCORE.name

    def read(columns: RowColumns) -> tuple[FloatArray, ...]:
        is_own = columns.is_by(evaluator).astype(np.float64)
        grades, noise = (
            columns.histogram(f"{section}_{histogram}").spread(-TENTHS, N_GRADES) * is_own[:, None]
            for section in ("quality", "noise")
        )
        levels = [columns[f"quality_{name}"] * is_own * is_scored for name in _LEVELS]
        orders = [columns[f"quality_{name}"] * is_own * (not is_scored) for name in _ORDERS]
        return (*grades.T, *levels, *orders, *noise.T)

    return read


def nothing_unresolved(columns: RowColumns) -> tuple[FloatArray, ...]:
    """Return what waits: an evaluation waits for nobody."""
    return (np.zeros(1),) * len(GRADED_FIELDS)
