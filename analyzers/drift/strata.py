"""Where each row of traffic belongs: found once, for all metrics that are added up so.

A stratum is a part of the traffic (language and workflow) in one hour of the day or week. Sums have
a line for the recent period and one for each stretch of the reference that is as long.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.drift.metrics import Floats, Sums
from understudy.analyzers.drift.periods import Periods

RECENT_LINE: Final = 0
"""Of sums; those after it are the stretches, in the order of time."""


class Strata:
    """Strata of some rows; rows in neither period belong to none."""

    def __init__(
        self, parts: NDArray[np.int64], hours: NDArray[np.int64], periods: Periods
    ) -> None:
        """`parts` (n,) numbers what each row is about, `hours` (n,) are hours since 1970."""
        reference, recent = periods
        is_recent = recent.hold(hours)
        self._rows = is_recent | reference.hold(hours)
        hours, parts, is_recent = hours[self._rows], parts[self._rows], is_recent[self._rows]
        keys, stratum = np.unique(
            parts * periods.cycle + hours % periods.cycle, return_inverse=True
        )
        # Stretches are counted back from the recent period, so that the last one ends with it.
        number = np.where(is_recent, 0, (hours - recent.start) // (recent.end - recent.start))
        stretches, line = np.unique(number[~is_recent], return_inverse=True)
        lines = np.full(hours.size, RECENT_LINE, np.int64)
        lines[~is_recent] = 1 + line.ravel()
        self.stretches = stretches.size
        self._size = keys.size
        self._cells = lines * keys.size + stratum.ravel()
        _, self._starts = np.unique(keys // periods.cycle, return_index=True)

    def sums(self, sums: Sums) -> Sums:
        """Return sums (1 + stretches, strata) of rows (n,)."""
        shape = 1 + self.stretches, self._size
        return Sums(
            *(
                np.bincount(self._cells, one[self._rows], shape[0] * shape[1])
                .astype(np.float64)
                .reshape(shape)
                for one in sums
            )
        )

    def by_part(self, values: Floats) -> Floats:
        """Return the sums over the strata of each part, (…, parts) of values (…, strata)."""
        if not self._size:
            return np.zeros((*values.shape[:-1], 0))
        return np.add.reduceat(values, self._starts, axis=-1)
