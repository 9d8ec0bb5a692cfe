"""Dead letters for tests, with what matters as an argument."""

from __future__ import annotations

import datetime as dt

from tests.streams.diagnostics.brokers import event, key
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord, RecordPosition

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)


def dead_letter(offset: int = 0, **changes: object) -> DeadLetterRecord:
    given: dict[str, object] = {
        "source": RecordPosition("understudy.events", 3, offset),
        "reason": "clock_ahead",
        "detail": "",
        "stored_at_ms": NOW_MS + offset,
        "key": key(offset),
        "payload": event(offset, at=NOW),
    }
    return DeadLetterRecord(**{**given, **changes})  # type: ignore[arg-type]
