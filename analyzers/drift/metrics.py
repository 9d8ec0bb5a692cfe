"""What of a side is held against its past: rates, means, and durations on a logarithmic scale.

All of them come from sums that window rows hold, but for what evaluators say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.schemas.events import Side
from understudy.schemas.measure_kinds import Category, Outcome
from understudy.schemas.rollout_metrics import MEANS, METRICS, RATES, TIMES, Unit

Floats = NDArray[np.float64]
Kind = Literal["rate", "level", "mean", "log_mean"]
"""A rate counts outcomes. A level is a mean between 0 and 1, whose change is told in points as that
of a rate is."""


class Sums(NamedTuple):
    """Of each row (n,): how many values, their sum, and the sum of their squares."""

    number: Floats
    total: Floats
    squares: Floats


@dataclass(frozen=True, slots=True)
class DriftMetric:
    """One metric, and the columns of a side that it is made of, without the side's prefix."""

    name: str
    title: str
    kind: Kind
    unit: Unit
    count: str
    total: str
    squares: str = ""
    """Of a rate, the sum of squares is the sum."""
    measured_by: str = ""
    """Column that is 0 where nothing can be said, however many values there seem to be."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        names = (self.count, self.total, self.squares, self.measured_by)
        return tuple(dict.fromkeys(name for name in names if name))

    def sums(self, columns: Mapping[str, Floats]) -> Sums:
        """Return the metric's sums, given its columns (n,)."""
        count, total = columns[self.count], columns[self.total]
        squares = columns[self.squares] if self.squares else total
        if self.measured_by:
            is_measured = columns[self.measured_by] > 0
            return Sums(*(np.where(is_measured, one, 0.0) for one in (count, total, squares)))
        return Sums(count, total, squares)


def _metrics() -> Iterator[DriftMetric]:
    for name, one in RATES.items():
        if not one.success:
            continue
        yield DriftMetric(
            name, METRICS[name].title, "rate", "share", one.among, one.success,
            measured_by=_measured_by(one),
        )  # fmt: skip
    for name, measured in MEANS.items():
        key = measured.name
        yield DriftMetric(
            name, METRICS[name].title, "mean", METRICS[name].unit,
            f"{key}_count", f"{key}_sum", f"{key}_squares",
        )  # fmt: skip
    for name, measured in TIMES.items():
        if measured.logarithms:
            key = measured.name
            yield DriftMetric(
                name, measured.noun, "log_mean", "ms",
                f"{key}_count", f"{key}_ln_sum", f"{key}_ln_squares",
            )  # fmt: skip


def _measured_by(one: Outcome | Category) -> str:
    return one.measured_by if isinstance(one, Outcome) else ""


def evaluator_metrics(evaluator: str, side: Side) -> tuple[DriftMetric, ...]:
    """Return what an evaluator, `name@version`, says of a side: its scores, as shares of the range.

    Of the candidate also how far it is preferred to stable, which a change of either may move.
    """
    measured = [DriftMetric(
        f"quality_score({evaluator})", f"score by {evaluator}", "level", "share",
        *(f"{evaluator}/score_{part}" for part in ("count", "sum", "squares")),
    )]  # fmt: skip
    if side == "candidate":
        measured.append(DriftMetric(
            f"quality_preference({evaluator})", f"preference over stable by {evaluator}", "level",
            "share", *(f"{evaluator}/preference_{part}" for part in ("count", "sum", "squares")),
        ))  # fmt: skip
    return tuple(measured)


DRIFT_METRICS: Final[tuple[DriftMetric, ...]] = tuple(_metrics())
PROMPT_TOKENS: Final = "input_tokens_sum"
REQUESTS: Final = "requests"
COLUMNS: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(
        [REQUESTS, PROMPT_TOKENS, *(name for one in DRIFT_METRICS for name in one.columns)]
    )
)
"""All columns of a side that are read."""
