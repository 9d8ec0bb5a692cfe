"""Changed window rows as the messages that carry them: one rollout each, cut to size.

Pairing sends these messages, and a replay feeds the same ones to its evaluator: evidence is summed
message by message, so another cut would give other last digits. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import msgspec

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.windows import Source, WindowRow, WindowsMessage, windows_message

MAX_ROWS: Final = 200
"""Of so many a row takes 1.3 kB, so a message some 300 kB: far less than the topic accepts."""
MAX_BYTES: Final = 6 * 1024 * 1024
"""Messages with larger rows are halved; the topic accepts 8 MiB, headers included."""


def windows_messages(
    rows: Sequence[WindowRow],
    *,
    source: Source,
    partition: int,
    version: int,
    watermark_ms: int | None,
) -> Iterator[tuple[WindowsMessage, bytes]]:
    """Yield the messages of a partition's rows, each with its encoding, rollout by rollout."""
    by_rollout: dict[str, list[WindowRow]] = defaultdict(list)
    for row in rows:
        by_rollout[row.rollout_id].append(row)
    watermark = None if watermark_ms is None else from_epoch_ms(watermark_ms)
    for rollout_id, own in by_rollout.items():
        for start in range(0, len(own), MAX_ROWS):
            message_of = partial(
                windows_message,
                rollout_id=rollout_id,
                source=source,
                partition=partition,
                version=version,
                watermark=watermark,
            )
            yield from _halved(own[start : start + MAX_ROWS], message_of)


def _halved(
    rows: Sequence[WindowRow], message_of: Callable[[Sequence[WindowRow]], WindowsMessage]
) -> Iterator[tuple[WindowsMessage, bytes]]:
    """Yield the message of rows, or of their halves while it is too large."""
    message = message_of(rows)
    encoded = msgspec.json.encode(message)
    if len(encoded) <= MAX_BYTES or len(rows) == 1:
        yield message, encoded
        return
    middle = len(rows) // 2
    for half in (rows[:middle], rows[middle:]):
        yield from _halved(half, message_of)
