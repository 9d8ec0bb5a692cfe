"""Which dead letters are worth writing to the events topic again. Pure.

An event that is read when its partition's watermark has passed its request time by more than the
join timeout counts as late and is never compared: replaying helps only those that come soon enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from understudy.schemas.events import InvalidEvent, decode_event, event_key, request_time_ms
from understudy.streams.operating.dead_letters import Letter
from understudy.streams.operating.partitioning import partition_of


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
    """Tells what pairing would do with an event written now."""

    max_event_bytes: int
    max_clock_skew_ms: int
    join_timeout_ms: int
    partitions: int
    watermarks_ms: Mapping[int, int]
    """By partition of the events topic, where a worker has committed one."""

    def forecast(self, letter: Letter, now_ms: int) -> Forecast:
        """What would become of it, and the key to write it with."""
        try:
            event = decode_event(letter.payload, self.max_event_bytes)
        except InvalidEvent as error:
            return Forecast(Fate.REFUSED, letter.key or b"", f"{error.reason}: {error.detail}")
        key = letter.key or event_key(event.rollout_id, event.pair_id).encode()
        time_ms = request_time_ms(event)
        if time_ms > now_ms + self.max_clock_skew_ms:
            ahead_s = (time_ms - now_ms) / 1000
            return Forecast(Fate.REFUSED, key, f"its request_time still lies {ahead_s:.0f} s ahead")
        watermark_ms = self.watermarks_ms.get(partition_of(key, self.partitions))
        if watermark_ms is not None and time_ms < watermark_ms - self.join_timeout_ms:
            behind_s = (watermark_ms - time_ms) / 1000
            return Forecast(Fate.LATE, key, f"{behind_s:.0f} s behind its partition's watermark")
        return Forecast(Fate.READ, key)
