"""Sums of one side of a rollout by the hour and by what is asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.drift.metrics import Floats
from understudy.analyzers.drift.periods import Hours


@dataclass(frozen=True, slots=True)
class HourlySums:
    """One row for each hour, language and workflow, n in all; further rows of the same add up."""

    hours: NDArray[np.int64]
    """Since 1970, UTC, (n,)."""
    languages: NDArray[np.str_]
    workflows: NDArray[np.str_]
    columns: Mapping[str, Floats]
    """`metrics.COLUMNS`, without the prefix of the side, each (n,)."""

    def where(self, chosen: NDArray[np.bool_]) -> HourlySums:
        """Return the rows that a mask (n,) chooses."""
        return HourlySums(
            self.hours[chosen],
            self.languages[chosen],
            self.workflows[chosen],
            {name: values[chosen] for name, values in self.columns.items()},
        )

    def within(self, hours: Hours) -> NDArray[np.bool_]:
        """Return which rows (n,) lie in some hours."""
        return hours.hold(self.hours)
