"""Changed window rows as the messages that carry them: one rollout each, cut to size.

Pairing sends these messages, and a replay feeds the same ones to its evaluator: evidence is summed
message by message, so another cut would give other last digits. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.windows import Source, WindowRow, WindowsMessage

MAX_ROWS: Final = 200
"""A row takes about 3 kB, so a message takes about 600 kB: well below what the topic accepts."""
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
            message = WindowsMessage(
                rollout_id=rollout_id,
                source=source,
                partition=partition,
                version=version,
                watermark=watermark,
                rows=own[start : start + MAX_ROWS],
            )
            yield from _halved(message)


def _halved(message: WindowsMessage) -> Iterator[tuple[WindowsMessage, bytes]]:
    """Yield the message, or its halves while it is too large."""
    encoded = msgspec.json.encode(message)
    if len(encoded) <= MAX_BYTES or len(message.rows) == 1:
        yield message, encoded
        return
    middle = len(message.rows) // 2
    for half in (message.rows[:middle], message.rows[middle:]):
        yield from _halved(msgspec.structs.replace(message, rows=half))
