"""Window rows of recorded events as the messages that a worker would have written.

A worker writes the rows that changed every second or so, and each window once more when it closes.
A recording has no arrival times, so its request times set the pace: rows are flushed whenever they
have advanced by an interval. Windows that are open at the end of the recording are closed there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.schemas.windows import WindowsMessage
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.windows_messages import ChangedRows, windows_messages
from understudy.streams.replay.recordings import request_time

FLUSH_INTERVAL_S: Final = 5.0
"""Event time between flushes; a shorter one changes no verdict, only when it is noticed."""
MAX_LINES: Final = 5_000
"""Of a batch: large enough for the vectorised code, small enough for memory."""
MAX_BATCH_BYTES: Final = 32 * 1024 * 1024
"""Of a batch: five thousand lines may be five thousand times the event limit."""

Listener = Callable[[WindowsMessage], None]


def batches_by_event_time(
    lines: Iterable[bytes],
    *,
    interval_s: float = FLUSH_INTERVAL_S,
    max_lines: int = MAX_LINES,
    max_bytes: int = MAX_BATCH_BYTES,
) -> Iterator[list[bytes]]:
    """Lines in batches that end when request times have advanced by an interval."""
    batch: list[bytes] = []
    nbytes = 0
    start: dt.datetime | None = None
    interval = dt.timedelta(seconds=interval_s)
    for line in lines:
        batch.append(line)
        nbytes += len(line)
        time = request_time(line)
        if time is not None:
            start = start or time
        is_full = len(batch) >= max_lines or nbytes >= max_bytes
        if is_full or (start and time and time - start >= interval):
            yield batch
            batch, nbytes, start = [], 0, None
    if batch:
        yield batch


def batches_by_size(
    lines: Iterable[bytes], *, max_lines: int = MAX_LINES, max_bytes: int = MAX_BATCH_BYTES
) -> Iterator[list[bytes]]:
    """Lines in batches that are as large as they may be."""
    batch: list[bytes] = []
    nbytes = 0
    for line in lines:
        batch.append(line)
        nbytes += len(line)
        if len(batch) >= max_lines or nbytes >= max_bytes:
            yield batch
            batch, nbytes = [], 0
    if batch:
        yield batch


class WindowEmitter:
    """Passes the window rows of a partition to a listener, as a worker would emit them."""

    def __init__(self, partition: Partition, listener: Listener) -> None:
        self._partition = partition
        self._listener = listener
        self._open: dict[SliceKey, DrawnRow] = {}

    def flush(self) -> list[DrawnRow]:
        """Emit all rows that changed; return those that closed."""
        rows = self._partition.draw_rows()
        for row in rows:
            if row.closed:
                self._open.pop(row.key, None)
            else:
                self._open[row.key] = row
        self._emit(rows, self._partition.position)
        return [row for row in rows if row.closed]

    def close(self) -> list[DrawnRow]:
        """Close all windows, since the recording has ended; return their last rows."""
        closed = self.flush()
        version = self._partition.position + 1
        left = list(self._open.values())
        self._emit([row._replace(closed=True, version=version) for row in left], version)
        return closed + left

    def _emit(self, rows: list[DrawnRow], version: int) -> None:
        partition = self._partition
        changed = ChangedRows(
            rows, partition.source, partition.number, version, partition.watermark_ms
        )
        for message, _ in windows_messages([changed]):
            self._listener(message)
