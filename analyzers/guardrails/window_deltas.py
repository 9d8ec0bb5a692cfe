"""Open rows: what was last read of each window row that may still change, per partition.

A newer version of a row is folded as what it holds beyond the version before it. A version that is
not higher adds nothing. A window that closed is forgotten, and so are rows of it that come again:
within the flush that closed it by name, later on by its start, as a partition closes windows in
their order and all in one flush.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from understudy.analyzers.guardrails.statistics import AnyStatistics
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.windows import WindowRow

Readings = dict[str, AnyStatistics]
"""Probe to numbers; a probe that read nothing but zeros is left out."""


class RowKey(NamedTuple):
    """What makes two rows of a rollout and partition versions of one another."""

    start_ms: int
    window_s: int
    mode: str
    language: str
    workflow: str


class Change(NamedTuple):
    """A newer version of a row: what came on top, and all that it holds."""

    row: WindowRow
    start_ms: int
    added: Readings
    whole: Readings


def row_key(row: WindowRow) -> RowKey:
    """The key of a row within its rollout and partition."""
    start_ms = to_epoch_ms(row.window_start)
    return RowKey(start_ms, row.window_s, row.mode or "", row.language, row.workflow)


@dataclass(slots=True)
class Partition:
    """The open rows of one partition."""

    version: int = -1
    """Of the newest message; a higher one begins a new flush."""
    settled_ms: int | None = None
    """Windows that start at or before this were closed in an earlier flush."""
    closing_ms: int | None = None
    closing: set[RowKey] = field(default_factory=set)
    """Rows that closed in the present flush."""
    rows: dict[RowKey, tuple[int, Readings]] = field(default_factory=dict)
    """Last version and what was read of it."""

    def newest(self, rows: Iterable[WindowRow]) -> list[tuple[RowKey, WindowRow]]:
        """Of a message's rows those that say something new, each once."""
        found: dict[RowKey, WindowRow] = {}
        for row in rows:
            key = row_key(row)
            other = found.get(key)
            if self._is_new(key, row) and (other is None or row.version > other.version):
                found[key] = row
        return list(found.items())

    def change(self, key: RowKey, row: WindowRow, whole: Readings) -> Change:
        """What a row adds. Changes nothing here; raises ValueError where counts shrank."""
        before = self.rows.get(key, (0, {}))[1]
        missing = before.keys() - whole.keys()
        if missing:
            raise ValueError("a newer version of a window row holds less than an older one")
        added = {
            probe: reading - before[probe] if probe in before else reading
            for probe, reading in whole.items()
        }
        return Change(row, key.start_ms, added, whole)

    def begin_flush(self, version: int) -> None:
        """Take note of a message's version."""
        if version <= self.version:
            return
        self.version = version
        if self.closing_ms is not None:
            self.settled_ms = max(self.closing_ms, self.settled_ms or self.closing_ms)
        self.closing_ms = None
        self.closing.clear()

    def keep(self, key: RowKey, change: Change) -> None:
        """Remember a change, or forget its row when it closed."""
        if not change.row.closed:
            self.rows[key] = (change.row.version, change.whole)
            return
        self.rows.pop(key, None)
        self.closing.add(key)
        self.closing_ms = max(key.start_ms, self.closing_ms or key.start_ms)

    def _is_new(self, key: RowKey, row: WindowRow) -> bool:
        known = self.rows.get(key)
        if known is not None:
            return row.version > known[0]
        is_settled = self.settled_ms is not None and key.start_ms <= self.settled_ms
        return key not in self.closing and not is_settled

    def to_builtins(self) -> list[Any]:
        """Lists, numbers and text."""
        rows = [
            [list(key), version, msgspec.to_builtins(whole)]
            for key, (version, whole) in self.rows.items()
        ]
        closing = [list(key) for key in sorted(self.closing)]
        return [self.version, self.settled_ms, self.closing_ms, closing, rows]

    @classmethod
    def from_builtins(cls, kept: list[Any]) -> Partition:
        """What `to_builtins` wrote."""
        version, settled_ms, closing_ms, closing, rows = kept
        return cls(
            version,
            settled_ms,
            closing_ms,
            {RowKey(*key) for key in closing},
            {RowKey(*key): (of, msgspec.convert(whole, Readings)) for key, of, whole in rows},
        )
