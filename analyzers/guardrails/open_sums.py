"""The sums of the open windows of one source, by slice; those that have not changed are kept.

Measured values round, so the rows of a window are always added in the same order, and the sums
after a restart are the same to the last bit. Where a row has changed, the slices that it belongs to
are added up again, and no others.

    sums.note(places)             # when rows have changed
    sums.update(store)            # before somebody looks at `batches`
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import NO_PLACE, SliceTable
from understudy.analyzers.guardrails.window_store import (
    RowPlace,
    RowsOfWindow,
    WindowStore,
    order_in_window,
)
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray

MANY_ROWS: Final = 4
"""Groups with so many times as many rows as there are groups are added up one by one, others side
by side: that calls numpy less often."""

ROOM: Final = 32
"""Numbers of rows are kept in so many columns more at once: now and then another one turns up."""


class OpenSums:
    """Of the slices that have turned up so far. Not thread-safe."""

    def __init__(self, layout: RowLayout, table: SliceTable) -> None:
        self._table, self._added = table, layout.added
        self._windows: dict[int, _Window] = {}
        self._noted: set[RowPlace] = set()
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

    def note(self, places: Iterable[RowPlace]) -> None:
        """Note that rows have changed."""
        self._noted.update(places)

    def update(self, store: WindowStore) -> None:
        """Add up what has changed."""
        changed = self._changed(store)
        if not changed:
            return
        windows = [self._windows[start_ms] for start_ms in changed]
        vectors, touched = list[FloatArray](), list[int]()
        for window, (start_ms, places) in zip(windows, changed.items(), strict=True):
            rows = store.window(start_ms)
            vectors += [rows[place].values for place in places]
            start = window.step * len(self._table.names)
            touched += [start + one for one in window.take(rows, places, self._table)]
        self._keep(windows, np.array(vectors))
        is_asked = np.zeros(self.has_changed.size, dtype=np.bool_)
        is_asked[touched] = True
        self.has_changed.reshape(-1)[touched] = True
        self._add_up(windows, is_asked)

    def _changed(self, store: WindowStore) -> dict[int, list[RowPlace]]:
        """Return the rows that have changed, by window; make room for new windows."""
        starts, changed = store.starts(), dict[int, list[RowPlace]]()
        if starts != self.starts_ms.tolist():
            self._make_room(np.array(starts, dtype=np.int64))
        for step, start_ms in enumerate(starts):
            if start_ms not in self._windows:
                self._windows[start_ms] = _Window()
                changed[start_ms] = list(store.window(start_ms))
            self._windows[start_ms].step = step
        is_new = set(changed)
        for place in self._noted:
            start_ms = place[1].start_ms
            if start_ms in self._windows and start_ms not in is_new:
                changed.setdefault(start_ms, []).append(place)
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
        """Add up the rows of windows, of the slices of windows that are asked for."""
        n_slices = len(self._table.names)
        flat = self.batches.reshape(-1, self.batches.shape[-1])
        if all(one.n == 1 for one in windows):  # as they are of few requests
            for window in windows:
                (row,), start = window.kept[window.order], n_slices * window.step
                for place, (numbers, sources) in zip(
                    window.slices[0].tolist(), self._numbers, strict=True
                ):
                    if place != NO_PLACE:
                        flat[start + place, numbers] = row[sources] + 0.0  # no sum is -0.0
            return
        rows = np.concatenate([one.kept[one.order] for one in windows])
        slices = np.concatenate([one.slices for one in windows])
        starts = np.repeat([n_slices * one.step for one in windows], [one.n for one in windows])
        for kind, (numbers, sources) in enumerate(self._numbers):
            cells = starts + slices[:, kind]
            own = np.flatnonzero((slices[:, kind] != NO_PLACE) & is_asked[cells])
            if own.size:
                cells, sums = sums_in_order(rows, own, cells[own])
                flat[cells[:, None], numbers] = sums[:, sources]


class _Window:
    """The rows of a window."""

    def __init__(self) -> None:
        self.step = 0
        """Its place among the open windows."""
        self._numbers: dict[RowPlace, int] = {}
        """Of rows, as they came."""
        self._vectors: list[FloatArray] = []
        self._slices: list[tuple[int, ...]] = []
        """By number, the places of a row's slices."""
        self._ordered: list[tuple[tuple[int | str, ...], int]] = []
        """What rows are ordered by, and their numbers."""
        self.order: IntArray = np.zeros(0, dtype=np.int64)
        """(n,) numbers of rows in the order in which they are added."""
        self.slices: IntArray = np.zeros((0, 0), dtype=np.int64)
        """(n, kinds) places of slices, in that order."""
        self.kept: FloatArray = np.zeros((0, 0))
        """(n or more, m) what is kept of rows, by number."""
        self.taken: list[int] = []
        """Numbers of the rows that were taken last."""

    @property
    def n(self) -> int:
        """How many rows it has."""
        return len(self._vectors)

    def take(self, rows: RowsOfWindow, changed: Sequence[RowPlace], table: SliceTable) -> set[int]:
        """Take rows that have changed; return the places of their slices."""
        self.taken, touched, n_known = [], set[int](), self.n
        for place in changed:
            vector, number = rows[place].values, self._numbers.get(place)
            if number is None:
                number = self._numbers[place] = self.n
                key = place[1]
                self._slices.append(table.places_of(key.language, key.workflow, key.mode))
                self._vectors.append(vector)
                insort(self._ordered, (order_in_window(place), number))
            self._vectors[number] = vector
            self.taken.append(number)
            touched.update(self._slices[number])
        if self.n > n_known:
            self.order = np.array([number for _, number in self._ordered], dtype=np.int64)
            self.slices = np.array(self._slices)[self.order]
        return touched - {NO_PLACE}

    def keep(self, vectors: FloatArray) -> None:
        """Keep numbers of the rows that were taken last; others have 0 for those that are new."""
        n, width = self.kept.shape
        needed = vectors.shape[1]
        if self.n > n or needed > width:
            kept = self.kept
            self.kept = np.zeros((2 * self.n if self.n > n else n, needed + -needed % ROOM))
            self.kept[:n, :width] = kept
        self.kept[self.taken, :needed] = vectors


def sums_in_order(
    vectors: FloatArray, rows: IntArray, groups: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return the groups of some rows, (m,), and the sums of their vectors, (m, width).

    `rows` (n,), in ascending order, are in groups (n,). Each group is added up row by row.
    """
    if (groups == groups[0]).all():
        return groups[:1], vectors[rows].sum(axis=0)[None]
    ordered = vectors if rows.size == len(vectors) else vectors[rows]
    if (groups[1:] < groups[:-1]).any():
        by_group = np.argsort(groups, kind="stable")
        ordered, groups = ordered[by_group], groups[by_group]
    distinct, firsts, sizes = np.unique(groups, return_index=True, return_counts=True)
    if sizes.max() > MANY_ROWS * distinct.size:
        # Along the first axis numpy adds one row after the other.
        parts = np.split(ordered, firsts[1:])
        return distinct, np.array([part.sum(axis=0) for part in parts])
    largest_first = np.argsort(-sizes, kind="stable")
    places = np.empty_like(largest_first)
    places[largest_first] = np.arange(distinct.size)
    turns = np.arange(rows.size) - np.repeat(firsts, sizes)
    ordered = ordered[np.lexsort((np.repeat(places, sizes), turns))]
    sums, start = 0.0 + ordered[: distinct.size], distinct.size
    for n_groups in np.bincount(turns)[1:].tolist():  # those with another row
        sums[:n_groups] += ordered[start : start + n_groups]
        start += n_groups
    return distinct[largest_first], sums
