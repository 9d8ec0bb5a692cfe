"""Places in the log: where a message lies, and which of two was applied first. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from understudy.schemas.decisions import Cause
from understudy.schemas.event_time import from_epoch_ms


class LogPlace(NamedTuple):
    """Where a message lies in its topic, and the timestamp that Kafka has of it."""

    partition: int
    offset: int
    timestamp_ms: int

    def cause(self, topic: Literal["windows", "rollouts"]) -> Cause:
        """The message as what led to a decision."""
        return Cause(
            topic=topic,
            partition=self.partition,
            offset=self.offset,
            written_at=from_epoch_ms(self.timestamp_ms),
        )

    def is_applied(self, newest: LogPlace | None) -> bool:
        """Whether a message was applied, given the newest one that was.

        Offsets begin anew with a topic made anew, times do not.
        """
        return (
            newest is not None
            and self.partition == newest.partition
            and self.offset <= newest.offset
            and self.timestamp_ms <= newest.timestamp_ms
        )

    def newest_with(self, known: LogPlace | None) -> LogPlace:
        """The newest place applied, after this one too; writers' clocks may differ."""
        if known is None or self.is_applied(known):
            return known or self
        return self._replace(timestamp_ms=max(self.timestamp_ms, known.timestamp_ms))
