"""The window store: the newest version of every row of the windows that are open, of one source.

Evidence is in the order of request time. Windows at the front that will not change any more are
*folded*: their rows leave the store for good. Of the others the sums of a slice are made again from
its rows whenever one changes (`open_sums`), so a newer version of a row replaces the older one
whole, and nothing has to be subtracted.

Each partition closes its windows in their order and all of one flush together. A version that is
not higher adds nothing, and nor does a copy of a row that closed: within the flush that closed it
it is known by its key, later on by its start.

A window is folded when all rows that are known of it are closed. A partition that falls idle closes
nothing, so a window is folded without the open rows, too, when enough newer windows have closed
elsewhere. A row of a folded window that closes later is *late*: it is told apart, and lost nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, field

from understudy.analyzers.guardrails.packed_arrays import PackedArray, pack, unpack
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import Mode
from understudy.schemas.row_lists import RowLists

IDLE_WINDOWS: Final = 30
"""Newer windows that close elsewhere before an idle partition is waited for no longer: five minutes
of windows of ten seconds, longer than partitions drift apart while all have traffic."""
MOST_OPEN_WINDOWS: Final = 360
"""Windows that are kept open at most, so that hostile or endless ones don't grow the state: an hour
of windows of ten seconds, beyond what slow answers need."""


class RowKey(NamedTuple):
    """What versions of one row have in common, within a rollout, source and partition."""

    start_ms: int
    window_s: int
    mode: Mode | None
    language: str
    workflow: str
    evaluator: str = ""
    requests_from_ms: int | None = None
    """From when on its pairs were requested; of evaluations alone."""

    @classmethod
    def of_lists(cls, lists: RowLists) -> Iterator[RowKey]:
        """Yield the keys of rows."""
        from_ms: Iterable[int | None] = repeat(None)
        if lists.requests_from is not UNSET:
            from_ms = (None if one is None else to_epoch_ms(one) for one in lists.requests_from)
        return map(
            cls,
            map(to_epoch_ms, lists.window_start),
            lists.window_s,
            repeat(None) if lists.mode is UNSET else lists.mode,
            lists.language,
            repeat("") if lists.workflow is UNSET else lists.workflow,
            repeat("") if lists.evaluator is UNSET else lists.evaluator,
            from_ms,
        )

    @property
    def requested_ms(self) -> int:
        """From when on its requests were made: what says to which stage they belong."""
        return self.start_ms if self.requests_from_ms is None else self.requests_from_ms


class StoredRow(NamedTuple):
    """The newest version of a row: all that is counted of it."""

    version: int
    is_closed: bool
    values: FloatArray
    """See `row_layout`."""


Rows = dict[RowKey, StoredRow]
RowPlace = tuple[int, RowKey]
"""The partition and key of a row."""
RowsOfWindow = dict[RowPlace, StoredRow]


class PartitionRows(msgspec.Struct):
    """The rows of one partition."""

    version: int = -1
    """Of the newest message; a higher one begins a new flush."""
    closed_through_ms: int | None = None
    """Windows that start at or before this were closed in an earlier flush."""
    closing: set[RowKey] = field(default_factory=set)
    """Rows that closed in the present flush."""
    rows: Rows = field(default_factory=dict)

    def begin_flush(self, version: int) -> None:
        """Note a message's version; a higher one marks as closed what the flush before closed."""
        if version <= self.version:
            return
        self.version = version
        if self.closing:
            newest_ms = max(key.start_ms for key in self.closing)
            self.closed_through_ms = max(newest_ms, self.closed_through_ms or newest_ms)
        self.closing = set()

    def is_new(self, key: RowKey, version: int) -> bool:
        """Return whether this version of a row says something new."""
        known = self.rows.get(key)
        if known is not None:
            return version > known.version and not known.is_closed
        through_ms = self.closed_through_ms
        is_closed = through_ms is not None and key.start_ms <= through_ms
        return key not in self.closing and not is_closed


class WindowStore:
    """The open windows of one source. Not thread-safe."""

    def __init__(self) -> None:
        self.partitions: dict[int, PartitionRows] = {}
        self.folded_through_ms: int | None = None
        """Windows that start at or before this were folded."""
        self._windows: dict[int, RowsOfWindow] = {}
        """By start, the rows of windows that were not folded."""
        self._ordered: set[int] = set()
        """Starts of windows that were not folded whose rows are in their fixed order."""
        self._left: dict[int, RowsOfWindow] = {}
        """By start, the rows of windows that were folded without them."""
        self._closing: set[int] = set()
        """Starts of windows that were not folded of which some row is closed."""
        self.changed: set[RowPlace] = set()
        """Rows of windows that were not folded that have changed since somebody emptied this."""

    def newest(
        self, partition: int, version: int, rows: Iterable[tuple[RowKey, int]]
    ) -> dict[RowKey, int]:
        """Return those rows of a message that say something new, each once; change nothing.

        Rows are their keys and versions; returned are their places among these, by key.

        A version below the partition's may come from a worker that reads the log again; its rows
        are treated like any others.
        """
        known = self.partitions.get(partition) or PartitionRows()
        ahead = PartitionRows(known.version, known.closed_through_ms, known.closing, known.rows)
        ahead.begin_flush(version)
        found: dict[RowKey, tuple[int, int]] = {}
        for place, (key, of_row) in enumerate(rows):
            other = found.get(key)
            if ahead.is_new(key, of_row) and (other is None or of_row > other[0]):
                found[key] = of_row, place
        return {key: place for key, (_, place) in found.items()}

    def find(self, partition: int, key: RowKey) -> StoredRow | None:
        """Return the newest version of a row that was applied, while its window is open."""
        rows = self.partitions.get(partition)
        return rows.rows.get(key) if rows else None

    def apply(self, partition: int, version: int, rows: Rows) -> Rows:
        """Store the rows of a message; return those that are late and closed."""
        of_partition = self.partitions.setdefault(partition, PartitionRows())
        of_partition.begin_flush(version)
        late: Rows = {}
        for key, row in rows.items():
            if row.is_closed:
                of_partition.closing.add(key)
            is_folded = self._is_folded(key.start_ms)
            if not is_folded:
                self.changed.add((partition, key))
            if is_folded and row.is_closed:
                self._forget_left(partition, key)
                late[key] = row
            else:
                self._note(partition, key, row)
        return late

    def starts(self) -> list[int]:
        """Return the starts of the windows that were not folded, in their order."""
        return sorted(self._windows)

    def n_rows(self, start_ms: int) -> int:
        """Return how many rows a window has that was not folded."""
        return len(self._windows[start_ms])

    def newest_start_ms(self) -> int:
        """Return the start of the newest window, folded or not; -1 before any."""
        folded_ms = -1 if self.folded_through_ms is None else self.folded_through_ms
        return max(folded_ms, *self._windows) if self._windows else folded_ms

    def window(self, start_ms: int) -> RowsOfWindow:
        """Return the rows of a window that was not folded, in any order."""
        return self._windows[start_ms]

    def rows_of(self, start_ms: int) -> list[tuple[RowKey, StoredRow]]:
        """Return the rows of a window that was not folded, in a fixed order."""
        if start_ms not in self._ordered:
            self._windows[start_ms] = dict(sorted(self._windows[start_ms].items(), key=_place))
            self._ordered.add(start_ms)
        return [(key, row) for (_, key), row in self._windows[start_ms].items()]

    def open_rows(self) -> list[RowPlace]:
        """Return where the rows of windows that were not folded are, window by window."""
        return [place for start_ms in self.starts() for place in self._windows[start_ms]]

    def next_to_fold(self) -> int | None:
        """Return the start of the first window when it can be folded."""
        if not self._windows:
            return None
        first_ms = min(self._windows)
        if all(row.is_closed for row in self._windows[first_ms].values()):
            return first_ms
        closed = len(self._closing - {first_ms})
        is_over = closed > IDLE_WINDOWS or len(self._windows) > MOST_OPEN_WINDOWS
        return first_ms if is_over else None

    def fold(self, start_ms: int) -> list[tuple[RowKey, StoredRow]]:
        """Fold the first window; return its closed rows in a fixed order.

        Rows that are still open stay with their partition, and are late when they close.
        """
        closed = [(key, row) for key, row in self.rows_of(start_ms) if row.is_closed]
        self.folded_through_ms = start_ms
        self._closing.discard(start_ms)
        window = self._windows.pop(start_ms)
        self._ordered.discard(start_ms)
        self.changed.difference_update(window)
        for (partition, key), row in window.items():
            if row.is_closed:
                del self.partitions[partition].rows[key]
            else:
                self._note(partition, key, row)
        return closed

    def _note(self, partition: int, key: RowKey, row: StoredRow) -> None:
        """Keep a row."""
        self.partitions[partition].rows[key] = row
        windows = self._left if self._is_folded(key.start_ms) else self._windows
        rows = windows.setdefault(key.start_ms, {})
        if (partition, key) not in rows:
            self._ordered.discard(key.start_ms)
        rows[partition, key] = row
        if row.is_closed:
            self._closing.add(key.start_ms)

    def _forget_left(self, partition: int, key: RowKey) -> None:
        """Keep a row no more that was open when its window was folded."""
        self.partitions[partition].rows.pop(key, None)
        rows = self._left.get(key.start_ms, {})
        rows.pop((partition, key), None)
        if not rows:
            self._left.pop(key.start_ms, None)

    def _is_folded(self, start_ms: int) -> bool:
        return self.folded_through_ms is not None and start_ms <= self.folded_through_ms


def order_in_window(place: RowPlace) -> tuple[int | str, ...]:
    """Return what the rows of a window are ordered by."""
    partition, key = place
    return partition, *_order(key)[1:]


def _place(item: tuple[RowPlace, StoredRow]) -> tuple[int | str, ...]:
    return order_in_window(item[0])


# Encoded


class PackedPartition(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a partition besides its rows, as the state of a rollout holds it."""

    version: int
    closed_through_ms: int | None
    closing: list[RowKey]


class PackedRows(msgspec.Struct, frozen=True, array_like=True):
    """Rows as the state of a rollout holds them: one of each list, in a fixed order."""

    partitions: list[int]
    keys: list[RowKey]
    versions: list[int]
    closed: list[bool]
    values: PackedArray


class PackedStore(msgspec.Struct, frozen=True, array_like=True):
    """A `WindowStore` as the state of a rollout holds it."""

    folded_through_ms: int | None
    partitions: dict[int, PackedPartition]
    rows: PackedRows
    """All, or those alone that were open when their window was folded."""


def pack_store(store: WindowStore, *, with_open: bool = True) -> PackedStore:
    """Return the store packed, with or without the rows of windows that were not folded.

    The same rows give the same bytes.
    """
    partitions = {
        number: PackedPartition(
            rows.version, rows.closed_through_ms, sorted(rows.closing, key=_order)
        )
        for number, rows in sorted(store.partitions.items())
    }
    left = {place: row for rows in store._left.values() for place, row in rows.items()}
    opened = store._windows.values() if with_open else ()
    rows = left | {place: row for window in opened for place, row in window.items()}
    return PackedStore(store.folded_through_ms, partitions, _pack(rows))


def pack_rows(store: WindowStore, places: Iterable[RowPlace]) -> PackedRows:
    """Return rows of windows that were not folded packed: the same ones give the same bytes."""
    return _pack({place: store._windows[place[1].start_ms][place] for place in places})


def unpack_store(packed: PackedStore, parts: Iterable[PackedRows] = ()) -> WindowStore:
    """Return the store that was packed.

    `parts` hold rows of windows that were not folded yet, older versions first.
    """
    store = WindowStore()
    store.folded_through_ms = packed.folded_through_ms
    for number, one in packed.partitions.items():
        store.partitions[number] = PartitionRows(
            one.version, one.closed_through_ms, set(one.closing)
        )
    for (partition, key), row in _unpacked(packed.rows):
        store._note(partition, key, row)
    newest: RowsOfWindow = {}
    for part in parts:
        newest.update(_unpacked(part))
    for (partition, key), row in newest.items():
        if not store._is_folded(key.start_ms):  # since the part was written
            store._note(partition, key, row)
    return store


def _pack(rows: RowsOfWindow) -> PackedRows:
    ordered = sorted(rows.items(), key=_place_in_all)
    values = [row.values for _, row in ordered]
    return PackedRows(
        partitions=[partition for (partition, _), _ in ordered],
        keys=[key for (_, key), _ in ordered],
        versions=[row.version for _, row in ordered],
        closed=[row.is_closed for _, row in ordered],
        values=pack(np.array(values) if values else np.zeros((0, 0))),
    )


def _unpacked(rows: PackedRows) -> Iterator[tuple[RowPlace, StoredRow]]:
    places = zip(rows.partitions, rows.keys, strict=True)
    stored = map(StoredRow, rows.versions, rows.closed, unpack(rows.values))
    return zip(places, stored, strict=True)


def _place_in_all(item: tuple[RowPlace, StoredRow]) -> tuple[int | str, ...]:
    (partition, key), _ = item
    return key.start_ms, partition, *_order(key)[1:]


def _order(key: RowKey) -> tuple[int | str, ...]:
    slices = key.mode or "", key.language, key.workflow, key.evaluator
    return key.start_ms, key.window_s, *slices, key.requested_ms
