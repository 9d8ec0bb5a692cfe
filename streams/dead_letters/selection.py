"""Which dead letters a command is about, and a summary of them. Pure.

Dead letters are written at least once, so the topic may hold several about one source record. The
position of the source record tells them apart.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from understudy.schemas.events import InvalidReason
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord, RecordPosition

REPLAY_CAN_HELP: Final = frozenset(
    {
        InvalidReason.CLOCK_AHEAD,
        InvalidReason.ANALYZER_FAILED,
        InvalidReason.TOO_LARGE,
        InvalidReason.UNSUPPORTED_VERSION,
    }
)
"""Reasons that time, another release or another limit can remove; the rest is wrong in itself."""


def once_each(records: Iterable[DeadLetterRecord]) -> Iterator[DeadLetterRecord]:
    """The first dead letter about each source record."""
    seen: set[RecordPosition] = set()
    for record in records:
        if record.source not in seen:
            seen.add(record.source)
            yield record


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; an empty filter lets everything through."""

    reasons: frozenset[str] = frozenset()
    rollout_id: str = ""
    since_ms: int | None = None
    source: RecordPosition | None = None

    def __contains__(self, record: DeadLetterRecord) -> bool:
        return (
            (not self.reasons or record.reason in self.reasons)
            and (not self.rollout_id or record.rollout_id == self.rollout_id)
            and (self.since_ms is None or record.stored_at_ms >= self.since_ms)
            and (self.source is None or record.source == self.source)
        )


@dataclass(slots=True)
class DeadLetterSummary:
    """Counts by reason and the newest few, gathered in one pass."""

    limit: int
    """How many of the newest to keep."""
    reasons: Counter[str] = field(default_factory=Counter)
    _newest: list[tuple[int, RecordPosition, DeadLetterRecord]] = field(default_factory=list)

    def add(self, record: DeadLetterRecord) -> None:
        """Count one more."""
        self.reasons[record.reason] += 1
        if self.limit:
            push = heapq.heappush if len(self._newest) < self.limit else heapq.heappushpop
            push(self._newest, (record.stored_at_ms, record.source, record))

    @property
    def newest(self) -> list[DeadLetterRecord]:
        """The newest first."""
        return [
            record for _, _, record in sorted(self._newest, key=lambda one: one[:2], reverse=True)
        ]
