"""Window rows from ClickHouse as the messages that a worker would have written. Pure.

A table keeps the last version of a row, not how it grew. So each row is emitted twice: when its
window ends, and once more, as closed, when event time has advanced by the allowed lateness.
Versions are event time in milliseconds; they rise in each partition as a worker's do. Windows that
are open when the rows end are closed there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.windows import Source, WindowRow, WindowsMessage
from understudy.streams.pairing.windows_messages import windows_messages


class _DueRow(NamedTuple):
    """A row to emit at a time; rows of one time and partition go into one message."""

    time_ms: int
    partition: tuple[Source, int]
    """Each source has partitions of its own."""
    number: int
    """In the order of reading: rows themselves have no order."""
    is_closing: bool
    row: WindowRow


def window_messages(
    rows: Iterable[WindowRow], allowed_lateness_ms: int
) -> Iterator[WindowsMessage]:
    """The messages of rows that come in the order of their windows' starts."""
    due: list[_DueRow] = []
    last_end_ms = 0
    for number, row in enumerate(rows):
        start_ms = _start_ms(row)
        yield from _emit(due, start_ms)
        end_ms = start_ms + row.window_s * 1000
        last_end_ms = max(last_end_ms, end_ms)
        partition = (row.source, row.partition)
        heapq.heappush(due, _DueRow(end_ms, partition, number, False, row))
        heapq.heappush(due, _DueRow(end_ms + allowed_lateness_ms, partition, number, True, row))
    yield from _emit(due, last_end_ms)
    left = [one._replace(time_ms=last_end_ms + 1) for one in due]
    heapq.heapify(left)
    yield from _emit(left, last_end_ms + 1)


def _emit(due: list[_DueRow], until_ms: int) -> Iterator[WindowsMessage]:
    """Messages of the rows that are due by then, one for each time and partition."""
    while due and due[0].time_ms <= until_ms:
        time_ms, partition = due[0].time_ms, due[0].partition
        rows = []
        while due and (due[0].time_ms, due[0].partition) == (time_ms, partition):
            one = heapq.heappop(due)
            rows.append(msgspec.structs.replace(one.row, version=time_ms, closed=one.is_closing))
        source, number = partition
        for message, _ in windows_messages(
            rows, source=source, partition=number, version=time_ms, watermark_ms=time_ms
        ):
            yield message


def _start_ms(row: WindowRow) -> int:
    return to_epoch_ms(row.window_start)
