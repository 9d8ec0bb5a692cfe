"""Units of a fixed sample: what shares its fate counts as one.

A case that names no conversation is a unit of its own; the turns of one conversation are one unit
together. Each unit has a window to itself, so the rows of a window are what a test can treat as one
observation, and pairing needs to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from understudy.analyzers.sequential.bets import FloatArray, IntArray
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.windows import WindowRow

UNIT_WINDOW_S: Final = 1
"""Length of the window of a unit: the shortest there is."""
FIRST_UNIT_MS: Final = 1_000_000_000_000
"""Start of the first unit's window. Any time will do, as nothing here depends on it; it is no time
at which anyone would expect a request, in 2001, and far from the ends of what a clock can hold."""


def unit_times_ms(conversation_ids: Iterable[str | None]) -> list[int]:
    """Return for each case, in its order, the start of its unit's window in epoch milliseconds.

    Cases of one conversation share a window, every other case has its own. Pair the cases with
    these as their request times, in windows of `UNIT_WINDOW_S`, in the order of the times.
    """
    known: dict[str, int] = {}
    times: list[int] = []
    n_units = 0
    for conversation_id in conversation_ids:
        unit = known.get(conversation_id, n_units) if conversation_id else n_units
        if conversation_id:
            known[conversation_id] = unit
        n_units = max(n_units, unit + 1)
        times.append(FIRST_UNIT_MS + unit * UNIT_WINDOW_S * 1000)
    return times


def units_of(rows: Iterable[WindowRow]) -> IntArray:
    """Return the number of each row's unit, from 0 in the order of their windows, (n,)."""
    starts = np.array([to_epoch_ms(row.window_start) for row in rows], dtype=np.int64)
    return np.unique(starts, return_inverse=True)[1].reshape(-1).astype(np.int64)


def added_by_unit(statistics: FloatArray, units: IntArray) -> FloatArray:
    """Add up rows (n, k) by unit, (n_units, k), as far as any of the rows belongs to it."""
    present, places = np.unique(units, return_inverse=True)
    if present.size == units.size:  # one row each, in the order of the units
        return statistics[np.argsort(units, kind="stable")]
    added = np.zeros((present.size, statistics.shape[-1]))
    np.add.at(added, places.reshape(-1), statistics)
    return added
