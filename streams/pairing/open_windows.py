"""The windows of one partition that may still change."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums, add_batch
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import Source

NOTHING_WAITS: Final[Mapping[SliceKey, UnresolvedCounts]] = {}


@dataclass(slots=True)
class WatermarkSteps:
    """Where in a batch the watermark rose: values, and the place in the log of each rise."""

    values_ms: list[int] = field(default_factory=list)
    next_offsets: list[int] = field(default_factory=list)
    log_bytes: list[int] = field(default_factory=list)

    def rise(self, value_ms: int, next_offset: int, log_bytes: int) -> int:
        """Note that the watermark rose to a value, which it has from `next_offset` on.

        `log_bytes` are the bytes of the log before the record that raised it.
        """
        self.values_ms.append(value_ms)
        self.next_offsets.append(next_offset)
        self.log_bytes.append(log_bytes)
        return value_ms

    def log_bytes_at(self, limit_ms: int) -> int:
        """The bytes of the log before the record with which the watermark was at `limit_ms`."""
        return self.log_bytes[bisect_left(self.values_ms, limit_ms)]

    def passed_at(self, limit_ms: int) -> int:
        """The first position at which the watermark was at least `limit_ms`."""
        return self.next_offsets[bisect_left(self.values_ms, limit_ms)]


class ClosedWindow(NamedTuple):
    """The sums of a slice in a window that does not change any more."""

    key: SliceKey
    sums: WindowSums
    version: int


@dataclass(slots=True)
class OpenWindows:
    """Sums by slice and window; rows are drawn from here as often as wanted."""

    partition: int
    window_s: int
    allowed_lateness_ms: int
    source: Source = "events"
    _sums: dict[SliceKey, WindowSums] = field(default_factory=dict)
    _changed: set[SliceKey] = field(default_factory=set)
    _closed: list[ClosedWindow] = field(default_factory=list)
    _unresolved: Mapping[SliceKey, UnresolvedCounts] = field(default_factory=dict)
    """As of the rows drawn last."""

    def __len__(self) -> int:
        return len(self._sums)

    def start_of(self, time_ms: int) -> int:
        """Start of the window that a time lies in, epoch milliseconds."""
        window_ms = self.window_s * 1000
        return time_ms - time_ms % window_ms

    def count(self, key: SliceKey, column: str, count: int = 1) -> None:
        """Add to one plain count of a slice."""
        self.touch(key).add_count(column, count)

    def add(
        self, slices: Sequence[SliceKey], rows: NDArray[np.int64], columns: WindowColumns
    ) -> None:
        """Add n rows of measures; `rows` (n,) are the indices of their slices."""
        add_batch([self.touch(key) for key in slices], rows, columns)

    def touch(self, key: SliceKey) -> WindowSums:
        """The sums of a slice, whose row is drawn again, whether or not anything is added."""
        self._changed.add(key)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = WindowSums()
        return sums

    def close(self, watermark_ms: int, steps: WatermarkSteps) -> None:
        """Close what the watermark has left behind, at the position where it did."""
        window_ms = self.window_s * 1000
        last_start = watermark_ms - self.allowed_lateness_ms - window_ms
        for key in [k for k in self._sums if k.window_start_ms <= last_start]:
            ended_ms = key.window_start_ms + window_ms + self.allowed_lateness_ms
            sums = self._sums.pop(key)
            self._changed.discard(key)
            version = steps.passed_at(ended_ms)
            self._closed.append(ClosedWindow(key, sums, version))

    def take_closed(self) -> list[ClosedWindow]:
        """What closed since the last call of this or of those that take rows."""
        closed, self._closed = self._closed, []
        return closed

    def take_all(self, position: int) -> list[ClosedWindow]:
        """The same, and all windows that are open: nothing comes any more."""
        closed = self.take_closed()
        closed += (ClosedWindow(key, sums, position) for key, sums in self._sums.items())
        self._sums, self._changed = {}, set()
        return closed

    def draw(
        self, position: int, unresolved: Mapping[SliceKey, UnresolvedCounts] = NOTHING_WAITS
    ) -> list[DrawnRow]:
        """Rows that closed or changed since the last call; `position` is their version.

        `unresolved` are the requests that wait now, of slices whose window is open.
        """
        self._note_unresolved(unresolved)
        rows = self.draw_closed()
        rows += [
            self._drawn(key, self._sums[key], position, closed=False)
            for key in sorted(self._changed)
        ]
        self._changed.clear()
        return rows

    def draw_closed(self) -> list[DrawnRow]:
        """Rows that closed since the last call."""
        return [self._drawn(*one, closed=True) for one in self.take_closed()]

    def _note_unresolved(self, unresolved: Mapping[SliceKey, UnresolvedCounts]) -> None:
        before, self._unresolved = self._unresolved, unresolved
        for key, counts in unresolved.items():
            if before.get(key) != counts:
                self.touch(key)
        # What waited in a window that has closed since then counts in its last row.
        self._changed.update(before.keys() - unresolved.keys() & self._sums.keys())

    def _drawn(self, key: SliceKey, sums: WindowSums, version: int, *, closed: bool) -> DrawnRow:
        return DrawnRow.of(
            sums,
            key,
            window_s=self.window_s,
            source=self.source,
            partition=self.partition,
            version=version,
            closed=closed,
            unresolved=None if closed else self._unresolved.get(key),
        )
