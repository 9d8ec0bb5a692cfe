"""Recorded events as the messages of window rows that a worker would have written.

A worker writes what changed every second or so and each window once more when it closes. A
recording has no arrival times, so its own request times set the pace: rows are taken whenever
they have gone on by a flush interval. What is open at the end of the recording closes there.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Final

import msgspec

from understudy.analyzers.windows.rows import row_key
from understudy.schemas.windows import WindowRow, WindowsMessage
from understudy.streams.pairing.partition import Partition

FLUSH_INTERVAL_S: Final = 5.0
"""Event time between flushes; finer changes no verdict, only when it is noticed."""
MOST_LINES: Final = 5_000

Listener = Callable[[WindowsMessage], None]


class _Timed(msgspec.Struct, gc=False):
    request_time: Annotated[dt.datetime, msgspec.Meta(tz=True)]


_decoder = msgspec.json.Decoder(_Timed)


def paced(
    lines: Iterable[bytes], *, interval_s: float = FLUSH_INTERVAL_S, most: int = MOST_LINES
) -> Iterator[list[bytes]]:
    """Lines in batches that end when request times have gone on by an interval."""
    batch: list[bytes] = []
    begun: dt.datetime | None = None
    interval = dt.timedelta(seconds=interval_s)
    for line in lines:
        batch.append(line)
        time = _request_time(line)
        if time is not None:
            begun = begun or time
        if len(batch) >= most or (begun and time and time - begun >= interval):
            yield batch
            batch, begun = [], None
    if batch:
        yield batch


class WindowFeed:
    """What a worker would have written about a partition that is fed a recording."""

    def __init__(self, partition: Partition, listener: Listener) -> None:
        self._partition = partition
        self._listener = listener
        self._open: dict[tuple[object, ...], WindowRow] = {}

    def flush(self) -> list[WindowRow]:
        """Tell the listener of all rows that changed; the ones that closed."""
        rows = self._partition.take_rows()
        for row in rows:
            if row.closed:
                self._open.pop(row_key(row), None)
            else:
                self._open[row_key(row)] = row
        self._tell(rows, self._partition.position)
        return [row for row in rows if row.closed]

    def end(self) -> list[WindowRow]:
        """Close what is open, now that the recording has ended; those rows as they stood."""
        closed = self.flush()
        version = self._partition.position + 1
        left = list(self._open.values())
        self._tell(
            [msgspec.structs.replace(row, closed=True, version=version) for row in left], version
        )
        return closed + left

    def _tell(self, rows: Sequence[WindowRow], version: int) -> None:
        for message in messages(rows, version, self._partition.watermark_ms):
            self._listener(message)


def messages(
    rows: Sequence[WindowRow], version: int, watermark_ms: int | None
) -> Iterator[WindowsMessage]:
    """One message for each rollout among the rows, which are of one source and partition."""
    by_rollout: dict[str, list[WindowRow]] = defaultdict(list)
    for row in rows:
        by_rollout[row.rollout_id].append(row)
    watermark = (
        None if watermark_ms is None else dt.datetime.fromtimestamp(watermark_ms / 1000, dt.UTC)
    )
    for rollout_id, some in by_rollout.items():
        yield WindowsMessage(
            rollout_id=rollout_id,
            source=some[0].source,
            partition=some[0].partition,
            version=version,
            watermark=watermark,
            rows=some,
        )


def _request_time(line: bytes) -> dt.datetime | None:
    try:
        return _decoder.decode(line).request_time
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
