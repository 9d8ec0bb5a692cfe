"""Stored window rows as the messages that a worker would have written. Pure.

A table keeps the last version of a row and not when it grew. So each row is told twice: whole, when
its window ends, and again as closed, when event time has gone on by the allowed lateness. Versions
are event time in milliseconds; they rise in each partition as a worker's do. What has not closed
when the rows end closes there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from understudy.schemas.windows import Source, WindowRow, WindowsMessage
from understudy.streams.replay.from_events import messages


class _Due(NamedTuple):
    """A row to tell at a time; rows of one time and place go into one message."""

    time_ms: int
    place: tuple[Source, int]
    """Source and partition."""
    number: int
    """Of the row, in the order in which they came: rows cannot be ordered themselves."""
    is_closing: bool
    row: WindowRow


def told(rows: Iterable[WindowRow], allowed_lateness_ms: int) -> Iterator[WindowsMessage]:
    """Messages of rows that come in the order of their windows' starts."""
    due: list[_Due] = []
    last_end_ms = 0
    for number, row in enumerate(rows):
        start_ms = _start_ms(row)
        yield from _tell(due, start_ms)
        end_ms = start_ms + row.window_s * 1000
        last_end_ms = max(last_end_ms, end_ms)
        place = (row.source, row.partition)
        heapq.heappush(due, _Due(end_ms, place, number, False, row))
        heapq.heappush(due, _Due(end_ms + allowed_lateness_ms, place, number, True, row))
    yield from _tell(due, last_end_ms)
    left = [one._replace(time_ms=last_end_ms + 1) for one in due]
    heapq.heapify(left)
    yield from _tell(left, last_end_ms + 1)


def _tell(due: list[_Due], until_ms: int) -> Iterator[WindowsMessage]:
    """What is due by then, in order; each message of one time and place."""
    while due and due[0].time_ms <= until_ms:
        time_ms, place = due[0].time_ms, due[0].place
        rows = []
        while due and (due[0].time_ms, due[0].place) == (time_ms, place):
            one = heapq.heappop(due)
            rows.append(msgspec.structs.replace(one.row, version=time_ms, closed=one.is_closing))
        yield from messages(rows, time_ms, time_ms)


def _start_ms(row: WindowRow) -> int:
    return round(row.window_start.timestamp() * 1000)
