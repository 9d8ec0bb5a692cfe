"""Changed window rows as the messages that carry them: one rollout each, cut to size.

Pairing sends these messages, and a replay feeds the same ones to its evaluator: evidence is summed
message by message, so another cut would give other last digits. Pure.

A message has few rows and a hundred columns, so the columns are made of all rows that leave
together, and each message takes its part of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from understudy.analyzers.windows.drawn_rows import DrawnRow, Lists, drawn_lists, part_of_lists
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.row_lists import MOST_ROWS
from understudy.schemas.windows import Source, WindowsMessage

MAX_BYTES: Final = 6 * 1024 * 1024
"""Messages with larger rows are halved; the topic accepts 8 MiB, headers included."""


class ChangedRows(NamedTuple):
    """The rows of a source's partition that have changed, as of a version."""

    rows: list[DrawnRow]
    source: Source
    partition: int
    version: int
    watermark_ms: int | None


def windows_messages(changed: Iterable[ChangedRows]) -> Iterator[tuple[WindowsMessage, bytes]]:
    """Yield the messages of partitions' rows, each with its encoding, rollout by rollout."""
    cut = [(of_partition, own) for of_partition in changed for own in _cut(of_partition.rows)]
    lists = drawn_lists(list(chain.from_iterable(own for _, own in cut)))
    start = 0
    for of_partition, own in cut:
        end = start + len(own)
        yield from _halved(of_partition, own[0].key.rollout_id, lists, slice(start, end))
        start = end


def _cut(rows: Iterable[DrawnRow]) -> Iterator[list[DrawnRow]]:
    by_rollout: dict[str, list[DrawnRow]] = defaultdict(list)
    for row in rows:
        by_rollout[row.key.rollout_id].append(row)
    for own in by_rollout.values():
        for start in range(0, len(own), MOST_ROWS):
            yield own[start : start + MOST_ROWS]


def _halved(
    changed: ChangedRows, rollout_id: str, lists: Lists, part: slice
) -> Iterator[tuple[WindowsMessage, bytes]]:
    """Yield the message of a part of the rows, or its halves while it is too large."""
    message = WindowsMessage(
        rollout_id=rollout_id,
        source=changed.source,
        partition=changed.partition,
        version=changed.version,
        watermark=None if changed.watermark_ms is None else from_epoch_ms(changed.watermark_ms),
        columns=part_of_lists(lists, part),
    )
    encoded = msgspec.json.encode(message)
    if len(encoded) <= MAX_BYTES or message.n_rows == 1:
        yield message, encoded
        return
    middle = part.start + message.n_rows // 2
    for half in (slice(part.start, middle), slice(middle, part.stop)):
        yield from _halved(changed, rollout_id, lists, half)
