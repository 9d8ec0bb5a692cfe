"""One record of the dead-letter topic, read back.

Everything in it comes from strangers, so nothing is trusted to be present, to be text or to be
short.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.events import peek

UNKNOWN: Final = "unknown"
"""The reason of a record that gives none."""

_MAX_REASON: Final = 100
_MAX_DETAIL: Final = 2000
_MAX_TOPIC: Final = 250
"""Characters that are kept of a header; Kafka's topic names have at most 249."""
_MAX_ROLLOUT_ID: Final = 128
"""As the event schema has it."""
_BYTES_PER_CHARACTER: Final = 4
"""At most, in UTF-8."""
_POSITION: Final = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})"
)


class RecordPosition(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_position(text: str) -> RecordPosition:
    """Read a position as `str` writes it. Raises ValueError."""
    found = _POSITION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not TOPIC/PARTITION/OFFSET")
    return RecordPosition(found["topic"], int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A record of the dead-letter topic: a source record that could not be used, and why."""

    source: RecordPosition
    """Of the record that could not be used; its own position where the headers name none."""
    reason: str
    detail: str
    stored_at_ms: int
    """Kafka's timestamp in the dead-letter topic."""
    key: bytes | None
    payload: bytes | None

    @property
    def stored_at(self) -> dt.datetime:
        """When it was written to the dead-letter topic."""
        return from_epoch_ms(self.stored_at_ms)

    @property
    def rollout_id(self) -> str:
        """The rollout that the key or else the payload names; empty when neither does."""
        head, slash, _ = (self.key or b"").partition(b"/")
        if slash:
            return head.decode("utf-8", "replace")[:_MAX_ROLLOUT_ID]
        named = peek(self.payload).get("rollout_id")
        return named[:_MAX_ROLLOUT_ID] if isinstance(named, str) else ""

    @property
    def payload_bytes(self) -> int:
        """The size of the payload."""
        return len(self.payload or b"")


def dead_letter_record(
    headers: Mapping[str, bytes],
    own: RecordPosition,
    stored_at_ms: int,
    key: bytes | None,
    payload: bytes | None,
) -> DeadLetterRecord:
    """A dead letter from what Kafka holds; `own` is its position in the dead-letter topic."""
    return DeadLetterRecord(
        source=_source(headers) or own,
        reason=_text(headers, "reason", _MAX_REASON) or UNKNOWN,
        detail=_text(headers, "detail", _MAX_DETAIL),
        stored_at_ms=stored_at_ms,
        key=key,
        payload=payload,
    )


def _source(headers: Mapping[str, bytes]) -> RecordPosition | None:
    parts = (_text(headers, name, _MAX_TOPIC) for name in ("topic", "partition", "offset"))
    try:
        return parse_position("/".join(parts))
    except ValueError:
        return None


def _text(headers: Mapping[str, bytes], name: str, limit: int) -> str:
    head = (headers.get(name) or b"")[: _BYTES_PER_CHARACTER * limit]
    return head.decode("utf-8", "replace")[:limit]
