"""Which dead letters are worth writing to their topic again. Pure.

A record that is read when its partition's watermark has passed its own time by more than the join
timeout counts as late and is not measured: replaying helps only those that come soon enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from understudy.schemas.events import InvalidEvent, decode_event, event_key, request_time_ms
from understudy.schemas.feedback import decode_feedback, feedback_time_ms
from understudy.schemas.windows import Source
from understudy.streams.dead_letters.selection import Letter
from understudy.streams.kafka.partitioner import partition_of


class Fate(StrEnum):
    """What would become of a letter if it were replayed."""

    READ = "read"
    LATE = "late"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Forecast:
    """A fate and why."""

    fate: Fate
    key: bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Tells what pairing would do with a record of one source written now."""

    max_event_bytes: int
    max_clock_skew_ms: int
    join_timeout_ms: int
    partitions: int
    watermarks_ms: Mapping[int, int]
    """By partition of the source's topic, where a worker has committed one."""
    source: Source = "events"

    def forecast(self, letter: Letter, now_ms: int) -> Forecast:
        """What would become of it, and the key to write it with."""
        try:
            own_key, time_ms = self._read(letter.payload)
        except InvalidEvent as error:
            return Forecast(Fate.REFUSED, letter.key or b"", f"{error.reason}: {error.detail}")
        key = letter.key or own_key.encode()
        if time_ms > now_ms + self.max_clock_skew_ms:
            ahead_s = (time_ms - now_ms) / 1000
            return Forecast(Fate.REFUSED, key, f"its time still lies {ahead_s:.0f} s ahead")
        watermark_ms = self.watermarks_ms.get(partition_of(key, self.partitions))
        if watermark_ms is not None and time_ms < watermark_ms - self.join_timeout_ms:
            behind_s = (watermark_ms - time_ms) / 1000
            return Forecast(Fate.LATE, key, f"{behind_s:.0f} s behind its partition's watermark")
        return Forecast(Fate.READ, key)

    def _read(self, payload: bytes | None) -> tuple[str, int]:
        """Key and time of a record. Raises `InvalidEvent`."""
        if self.source == "feedback":
            feedback = decode_feedback(payload)
            return event_key(feedback.rollout_id, feedback.pair_id), feedback_time_ms(feedback)
        event = decode_event(payload, self.max_event_bytes)
        return event_key(event.rollout_id, event.pair_id), request_time_ms(event)
