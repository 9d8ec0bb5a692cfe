"""Window deltas: what a newer version of a window row holds beyond the version before it.

Each partition keeps the statistics of the rows that may still change. A version that is not higher
adds nothing. The rows of a window that closed are dropped, and so are copies of them that come
again: within the flush that closed them by their key, later on by their start, as a partition
closes windows in their order and all in one flush.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import field

from understudy.analyzers.guardrails.statistics import AnyStatistics
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.windows import WindowRow

RowStatistics = dict[str, AnyStatistics]
"""By statistics key, see `checks`; statistics of nothing are left out."""


class WindowDelta(NamedTuple):
    """A newer version of a row: what it adds, and all that it holds."""

    row: WindowRow
    start_ms: int
    added: RowStatistics
    total: RowStatistics
    arrived: ArrivedEvents
    """What it adds; `total` and the row hold the whole."""


class ArrivedEvents(msgspec.Struct, frozen=True, array_like=True):
    """Events of a row that have ended somewhere, and how many of them came late."""

    events: int = 0
    late: int = 0

    @classmethod
    def of(cls, row: WindowRow) -> ArrivedEvents:
        """Count those of a row; copies, replaced attempts and invalid records do not say when."""
        counts = row.events
        lost = counts.unmatched_stable + counts.unmatched_candidate + counts.unmatched_control
        return cls(counts.paired + counts.single + lost + counts.late, counts.late)

    def __sub__(self, other: ArrivedEvents) -> ArrivedEvents:
        return ArrivedEvents(self.events - other.events, self.late - other.late)


class OpenRow(msgspec.Struct, frozen=True, array_like=True):
    """The last version of a row, and its statistics."""

    version: int
    statistics: RowStatistics
    arrived: ArrivedEvents = ArrivedEvents()


def row_key(row: WindowRow) -> str:
    """Return what versions of one row have in common, within a rollout and partition.

    As JSON, so that no language or workflow can be mistaken for others.
    """
    key = to_epoch_ms(row.window_start), row.window_s, row.mode, row.language, row.workflow
    return msgspec.json.encode(key).decode()


class OpenRows(msgspec.Struct, array_like=True):
    """The open rows of one partition."""

    version: int = -1
    """Of the newest message; a higher one begins a new flush."""
    closed_through_ms: int | None = None
    """Windows that start at or before this were closed in an earlier flush."""
    closing: dict[str, int] = field(default_factory=dict)
    """Rows that closed in the present flush: key to the start of the window."""
    rows: dict[str, OpenRow] = field(default_factory=dict)
    """By key."""

    def newest(self, rows: Iterable[WindowRow]) -> list[tuple[str, WindowRow]]:
        """Return those rows of a message that say something new, each once, with their keys."""
        found: dict[str, WindowRow] = {}
        for row in rows:
            key = row_key(row)
            other = found.get(key)
            if self._is_new(key, row) and (other is None or row.version > other.version):
                found[key] = row
        return list(found.items())

    def delta(self, key: str, row: WindowRow, total: RowStatistics) -> WindowDelta:
        """Return what a row adds, without noting it. Raises ValueError where counts shrank."""
        known = self.rows.get(key) or OpenRow(-1, {})
        before = known.statistics
        if before.keys() - total.keys():
            raise ValueError("a newer version of a window row holds less than an older one")
        added = {
            name: statistics - before[name] if name in before else statistics
            for name, statistics in total.items()
        }
        arrived = ArrivedEvents.of(row) - known.arrived
        return WindowDelta(row, to_epoch_ms(row.window_start), added, total, arrived)

    def begin_flush(self, version: int) -> None:
        """Note a message's version; a higher one marks as closed what the flush before closed."""
        if version <= self.version:
            return
        self.version = version
        if self.closing:
            newest_ms = max(self.closing.values())
            self.closed_through_ms = max(newest_ms, self.closed_through_ms or newest_ms)
        self.closing = {}

    def apply(self, key: str, delta: WindowDelta) -> None:
        """Note a delta, and drop its row when it closed."""
        if not delta.row.closed:
            arrived = ArrivedEvents.of(delta.row)
            self.rows[key] = OpenRow(delta.row.version, delta.total, arrived)
            return
        self.rows.pop(key, None)
        self.closing[key] = delta.start_ms

    def _is_new(self, key: str, row: WindowRow) -> bool:
        if key in self.rows:
            return row.version > self.rows[key].version
        through_ms = self.closed_through_ms
        is_closed = through_ms is not None and to_epoch_ms(row.window_start) <= through_ms
        return key not in self.closing and not is_closed
