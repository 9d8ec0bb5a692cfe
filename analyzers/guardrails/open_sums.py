"""The sums of the open windows of one source, by slice; those that have not changed are kept.

Measured values round, so the rows of a window are always added in the same order, and the sums
after a restart are the same to the last bit. Where a row has changed, the slices that it belongs to
are added up again, and no others.

    sums.note(partition, rows)    # when rows have changed
    sums.update(store)            # before somebody looks at `batches`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import NO_PLACE, SliceTable
from understudy.analyzers.guardrails.window_store import (
    RowPlace,
    Rows,
    RowsOfWindow,
    WindowStore,
    order_in_window,
)
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray

ROOM: Final = 32
"""Numbers of rows are kept in so many columns more at once: now and then another one turns up."""


class OpenSums:
    """Of the slices that have turned up so far. Not thread-safe."""

    def __init__(self, layout: RowLayout, table: SliceTable) -> None:
        self._table, self._added = table, layout.sources_by_kind
        self._windows: dict[int, _Window] = {}
        self._noted: dict[int, RowsOfWindow] = {}
        """By window, rows that have changed."""
        self._used: IntArray = np.zeros(0, dtype=np.int64)
        """(m,) numbers that some row has had, in the order in which they came: most are 0 in all
        rows, by what gateways do not write."""
        self._is_unused: BoolArray = np.ones(layout.width, dtype=np.bool_)
        self._numbers = self._used_numbers()
        self.starts_ms: IntArray = np.zeros(0, dtype=np.int64)
        """(T,) of the windows, in their order."""
        self.batches: FloatArray = np.zeros((0, len(table.names), layout.batch_width))
        """(T, n_slices, batch_width), see `row_layout`."""
        self.has_changed: BoolArray = np.zeros((0, len(table.names)), dtype=np.bool_)
        """(T, n_slices) which sums have changed since somebody last took note of it."""

    def note(self, partition: int, rows: Rows) -> None:
        """Note that rows have changed."""
        for key, row in rows.items():
            self._noted.setdefault(key.start_ms, {})[partition, key] = row

    def update(self, store: WindowStore) -> None:
        """Add up what has changed."""
        changed = self._changed(store)
        if not changed:
            return
        windows = [self._windows[start_ms] for start_ms in changed]
        is_asked = np.zeros((self.starts_ms.size, len(self._table.names) + 1), dtype=np.bool_)
        for window, rows in zip(windows, changed.values(), strict=True):
            is_asked[window.step, window.take(rows, self._table)] = True
        is_asked = is_asked[:, :-1]  # without those that are of no slice
        self.has_changed |= is_asked
        vectors = [row.values for rows in changed.values() for row in rows.values()]
        self._keep(windows, np.array(vectors))
        self._add_up(windows, is_asked)

    def _changed(self, store: WindowStore) -> dict[int, RowsOfWindow]:
        """Return the rows that have changed, by window; make room for new windows."""
        starts, changed = store.starts(), dict[int, RowsOfWindow]()
        if starts != self.starts_ms.tolist():
            self._make_room(np.array(starts, dtype=np.int64))
        for step, start_ms in enumerate(starts):
            window = self._windows.get(start_ms)
            if window is None:
                window = self._windows[start_ms] = _Window()
                changed[start_ms] = store.window(start_ms)
            elif start_ms in self._noted:
                changed[start_ms] = self._noted[start_ms]
            window.step = step
        self._noted.clear()
        return changed

    def _make_room(self, starts_ms: IntArray) -> None:
        """Keep windows with these starts alone, and make room for those that are new."""
        known = {start_ms: step for step, start_ms in enumerate(self.starts_ms.tolist())}
        before = np.array([known.get(one, -1) for one in starts_ms.tolist()], dtype=np.int64)
        is_known, shape = before >= 0, (starts_ms.size, *self.batches.shape[1:])
        batches, has_changed = np.zeros(shape), np.ones(shape[:2], dtype=np.bool_)
        batches[is_known] = self.batches[before[is_known]]
        has_changed[is_known] = self.has_changed[before[is_known]]
        self.starts_ms, self.batches, self.has_changed = starts_ms, batches, has_changed
        for start_ms in known.keys() - set(starts_ms.tolist()):
            del self._windows[start_ms]

    def _keep(self, windows: Sequence[_Window], vectors: FloatArray) -> None:
        """Keep the numbers of rows that have changed, (n, width), one window after the other."""
        is_new = vectors.any(axis=0) & self._is_unused
        if is_new.any():
            self._used = np.concatenate([self._used, np.flatnonzero(is_new)])
            self._is_unused &= ~is_new
            self._numbers = self._used_numbers()
        vectors, start = vectors[:, self._used], 0
        for window in windows:
            end = start + len(window.taken)
            window.keep(vectors[start:end])
            start = end

    def _used_numbers(self) -> list[tuple[IntArray, IntArray]]:
        """Return, by kind of slice, numbers of a batch, and which of those kept they add up."""
        places = np.zeros(self._is_unused.size, dtype=np.int64)
        places[self._used] = np.arange(self._used.size)
        chosen = [(*one, ~self._is_unused[one[1]]) for one in self._added]
        return [(numbers[used], places[sources[used]]) for numbers, sources, used in chosen]

    def _add_up(self, windows: Sequence[_Window], is_asked: BoolArray) -> None:
        """Add up the rows of windows, of the slices that are asked for, (T, n_slices)."""
        ordered = [window.kept[window.order] for window in windows]
        for kind, (numbers, sources) in enumerate(self._numbers):
            parts, cells = list[FloatArray](), list[IntArray]()
            for window, rows in zip(windows, ordered, strict=True):
                place = window.only_slice[kind]
                if place is None:
                    places = window.slices[:, kind]
                    own = np.flatnonzero((places != NO_PLACE) & is_asked[window.step, places])
                    parts.append(rows[own])
                    cells.append(places[own] + window.step * is_asked.shape[1])
                elif place != NO_PLACE:
                    # Along the first axis numpy adds one row after the other.
                    self.batches[window.step, place, numbers] = rows.sum(axis=0)[sources]
            if parts:
                groups, sums = sums_in_order(np.concatenate(parts), np.concatenate(cells))
                flat = self.batches.reshape(-1, self.batches.shape[-1])
                flat[groups[:, None], numbers] = sums[:, sources]


class _Window:
    """The rows of a window."""

    def __init__(self) -> None:
        self.step = 0
        """Its place among the open windows."""
        self._numbers: dict[RowPlace, int] = {}
        """Of rows, as they came."""
        self._slices: list[tuple[int, ...]] = []
        """By number, the places of a row's slices."""
        self._ordered: list[tuple[tuple[int | str, ...], int]] = []
        """What rows are ordered by, and their numbers."""
        self.order: IntArray = np.zeros(0, dtype=np.int64)
        """(n,) numbers of rows in the order in which they are added."""
        self.slices: IntArray = np.zeros((0, 0), dtype=np.int64)
        """(n, kinds) places of slices, in that order."""
        self._by_number: IntArray = self.slices
        """The same by number."""
        self.only_slice: list[int | None] = []
        """By kind, the slice of all rows; None where they are in several."""
        self.kept: FloatArray = np.zeros((0, 0))
        """(n or more, m) what is kept of rows, by number."""
        self.taken: list[int] = []
        """Numbers of the rows that were taken last."""

    def take(self, rows: RowsOfWindow, table: SliceTable) -> IntArray:
        """Take rows that have changed; return the places of their slices, (n, kinds)."""
        new = [place for place in rows if place not in self._numbers]
        for place in new:
            number, key = len(self._numbers), place[1]
            self._numbers[place] = number
            self._slices.append(table.places_of(key.language, key.workflow, key.mode))
            self._ordered.append((order_in_window(place), number))
        if new:
            self._ordered.sort()
            self.order = np.array([number for _, number in self._ordered], dtype=np.int64)
            self._by_number = np.array(self._slices)
            self.slices = self._by_number[self.order]
            first = self._slices[0]
            is_only = (self.slices == first).all(axis=0).tolist()
            self.only_slice = [
                place if only else None for place, only in zip(first, is_only, strict=True)
            ]
        self.taken = [self._numbers[place] for place in rows]
        return self._by_number[self.taken]

    def keep(self, vectors: FloatArray) -> None:
        """Keep numbers of the rows that were taken last; others have 0 for those that are new."""
        n, width = self.kept.shape
        needed = vectors.shape[1]
        n_rows = len(self._numbers)
        if n_rows > n or needed > width:
            kept = self.kept
            self.kept = np.zeros((2 * n_rows if n_rows > n else n, needed + -needed % ROOM))
            self.kept[:n, :width] = kept
        self.kept[self.taken, :needed] = vectors


def sums_in_order(vectors: FloatArray, groups: IntArray) -> tuple[IntArray, FloatArray]:
    """Return groups, (m,), and the sums of their vectors, (m, width).

    Vectors (n, width) are in groups (n,), and each group is added up one after the other: all first
    ones, then all second ones, so that numpy is called once for each place in the longest group.
    """
    if (groups[1:] < groups[:-1]).any():
        by_group = np.argsort(groups, kind="stable")
        vectors, groups = vectors[by_group], groups[by_group]
    distinct, firsts, sizes = np.unique(groups, return_index=True, return_counts=True)
    largest_first = np.argsort(-sizes, kind="stable")
    places = np.empty_like(largest_first)
    places[largest_first] = np.arange(distinct.size)
    turns = np.arange(groups.size) - np.repeat(firsts, sizes)
    ordered = vectors[np.lexsort((np.repeat(places, sizes), turns))]
    sums, start = 0.0 + ordered[: distinct.size], distinct.size
    for n_groups in np.bincount(turns)[1:].tolist():  # those with another one
        sums[:n_groups] += ordered[start : start + n_groups]
        start += n_groups
    return distinct[largest_first], sums
