"""Which hours are held against which.

The candidate's last day is held against its first days, stable's against the weeks before it. Hours
are compared with the same hour of other days: of the same weekday where there are three weeks to
learn from how such hours differ by themselves, of any day where there are fewer.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.schemas.events import Side

MS_OF_HOUR: Final = 3_600_000
HOURS_OF_DAY: Final = 24
HOURS_OF_WEEK: Final = 168
RECENT_HOURS: Final = HOURS_OF_DAY
"""A day has each hour of the day, and is told while it can still matter."""
REFERENCE_HOURS: Final[dict[Side, int]] = {
    "candidate": 2 * HOURS_OF_WEEK,
    "stable": 4 * HOURS_OF_WEEK,
}
"""The candidate's first fortnight; of stable the four weeks before: seasons are no drift."""
FEWEST_REFERENCE_HOURS: Final = 5 * HOURS_OF_DAY
"""Four degrees of freedom for how much days differ by themselves; below, nothing is told."""
_WEEKLY_FROM: Final = 3 * HOURS_OF_WEEK
"""With two weeks, a pair of days says how much days differ, which is too few."""


class Hours(NamedTuple):
    """From one hour up to, but not including, another; hours since 1970, UTC."""

    start: int
    end: int

    def hold(self, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some hours (n,) are among these."""
        return (hours >= self.start) & (hours < self.end)


class Periods(NamedTuple):
    """What is compared."""

    reference: Hours
    recent: Hours

    @property
    def cycle(self) -> int:
        """In how many hours traffic repeats itself: a week, or a day."""
        long_enough = self.reference.end - self.reference.start >= _WEEKLY_FROM
        return HOURS_OF_WEEK if long_enough else HOURS_OF_DAY


def periods_of(
    side: Side, first: int, end: int, *, recent: int = RECENT_HOURS, reference: int | None = None
) -> Periods | None:
    """Return the periods of a side with traffic from `first` up to `end`; None where too short."""
    length = REFERENCE_HOURS[side] if reference is None else reference
    recent_start = end - recent
    if side == "candidate":
        start, stop = first, min(first + length, recent_start)
    else:
        start, stop = max(first, recent_start - length), recent_start
    if stop - start < FEWEST_REFERENCE_HOURS:
        return None
    return Periods(Hours(start, stop), Hours(recent_start, end))
