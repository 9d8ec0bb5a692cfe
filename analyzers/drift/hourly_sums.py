"""Sums of one side of a rollout by the hour and by what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.drift.metrics import DRIFT_METRICS, DriftMetric, Floats
from understudy.analyzers.drift.periods import Hours


@dataclass(frozen=True, slots=True)
class HourlySums:
    """One row for each hour, language and workflow, n in all; further rows of the same add up."""

    hours: NDArray[np.int64]
    """Since 1970, UTC, (n,)."""
    languages: NDArray[np.str_]
    workflows: NDArray[np.str_]
    columns: Mapping[str, Floats]
    """Those of the metrics, without the prefix of the side, each (n,)."""
    metrics: tuple[DriftMetric, ...] = DRIFT_METRICS
    """What the columns tell."""
    left_out: int = 0
    """How many combinations of language and workflow, those with the fewest requests, are not among
    the rows, since there are too many."""

    def where(self, chosen: NDArray[np.bool_]) -> HourlySums:
        """Return the rows that a mask (n,) chooses."""
        return HourlySums(
            self.hours[chosen],
            self.languages[chosen],
            self.workflows[chosen],
            {name: values[chosen] for name, values in self.columns.items()},
            self.metrics,
            self.left_out,
        )

    def joined(self, other: HourlySums) -> HourlySums:
        """Return the rows and metrics of both; what one does not measure has no values there."""
        own, others = np.zeros(self.hours.size), np.zeros(other.hours.size)
        names = dict.fromkeys((*self.columns, *other.columns))
        return HourlySums(
            np.concatenate((self.hours, other.hours)),
            np.concatenate((self.languages, other.languages)),
            np.concatenate((self.workflows, other.workflows)),
            {
                name: np.concatenate((self.columns.get(name, own), other.columns.get(name, others)))
                for name in names
            },
            (*self.metrics, *other.metrics),
            max(self.left_out, other.left_out),
        )

    def within(self, hours: Hours) -> NDArray[np.bool_]:
        """Return which rows (n,) lie in some hours."""
        return hours.hold(self.hours)
