"""What would become of a dead letter that is written to its topic again. Pure.

A record that is read when its partition's watermark has passed its own time by more than the join
timeout counts as late and is not measured: replaying helps only those that come soon enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from understudy.schemas.events import InvalidEvent
from understudy.schemas.sources import SOURCE_RECORDS, KeyAndTime
from understudy.schemas.windows import Source
from understudy.streams.dead_letters.dead_letter_record import DeadLetterRecord
from understudy.streams.kafka.partitioner import partition_of


class ReplayEffect(StrEnum):
    """What pairing would do with a record that is written again."""

    ACCEPTED = "accepted"
    LATE = "late"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What pairing would do, why, and the key to write the record with."""

    effect: ReplayEffect
    key: bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Foretells what pairing would do with a record of one source that is written now."""

    max_event_bytes: int
    max_clock_skew_ms: int
    join_timeout_ms: int
    partitions: int
    watermarks_ms: Mapping[int, int]
    """By partition of the source's topic, where a worker has committed one."""
    source: Source = "events"

    def forecast(self, record: DeadLetterRecord, now_ms: int) -> Forecast:
        """What pairing would do with a dead letter's payload."""
        try:
            own_key, time_ms = self._key_and_time(record.payload)
        except InvalidEvent as error:
            why = f"{error.reason}: {error.detail}"
            return Forecast(ReplayEffect.REFUSED, record.key or b"", why)
        key = record.key or own_key.encode()
        if time_ms > now_ms + self.max_clock_skew_ms:
            ahead_s = (time_ms - now_ms) / 1000
            return Forecast(ReplayEffect.REFUSED, key, f"its time is still {ahead_s:.0f} s ahead")
        watermark_ms = self.watermarks_ms.get(partition_of(key, self.partitions))
        if watermark_ms is not None and self._is_late(time_ms, watermark_ms):
            behind_s = (watermark_ms - time_ms) / 1000
            why = f"{behind_s:.0f} s behind its partition's watermark"
            return Forecast(ReplayEffect.LATE, key, why)
        return Forecast(ReplayEffect.ACCEPTED, key)

    def _is_late(self, time_ms: int, watermark_ms: int) -> bool:
        can_be_late = SOURCE_RECORDS[self.source].can_be_late
        return can_be_late and time_ms < watermark_ms - self.join_timeout_ms

    def _key_and_time(self, payload: bytes | None) -> KeyAndTime:
        """Key and time of a record. Raises `InvalidEvent`."""
        return SOURCE_RECORDS[self.source].read(payload, self.max_event_bytes)
