"""Whether events lie in the partitions where murmur2 puts their keys, and have the right keys.

Sides of a request meet only in one partition. Where a gateway uses another partitioner, pairs are
torn apart, and all that a worker sees is sides without a partner. It looks at a few records only:
hashing a key costs as much as half of everything else that is done with an event.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from understudy.schemas.events import event_key, identity_of
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.pairing.records import RecordBatch

EVERY_RECORD_UNTIL: Final = 100
"""Of a partition, since this worker reads it: a wrong gateway is found within its first seconds."""
STRIDE: Final = 1024
"""One record of so many is looked at later: some 0.2 % of the time."""
WARN_EVERY_S: Final = 600.0
"""A wrong partitioner stays wrong until somebody deploys; the metrics count meanwhile."""


@dataclass(slots=True)
class PlacementCounts:
    """What was found among the records that were looked at."""

    checked: int = 0
    elsewhere: int = 0
    """Keys that lie in another partition than murmur2's."""
    by_crc32: int = 0
    """Those among them that lie where librdkafka's default puts them."""
    wrong_key: int = 0
    """Records without a key, or with one that is not the event's own; see `event_key`."""


@dataclass(frozen=True, slots=True)
class PlacementWarning:
    """What to log: all counts so far, and the newest record that was wrong."""

    counts: PlacementCounts
    offset: int
    key: str
    expected_key: str
    expected_partition: int


class PlacementCheck:
    """Looks at a few of the records that a worker reads of one topic."""

    def __init__(self, partitions: Callable[[], int | None]) -> None:
        """`partitions` asks how many the topic has; None while the broker does not answer."""
        self.counts = PlacementCounts()
        self._ask_partitions = partitions
        self._partitions: int | None = None
        self._seen: dict[int, int] = {}
        """Records of each partition that were there to be looked at."""
        self._newest: PlacementWarning | None = None
        self._warned_s: float | None = None

    def look(self, number: int, records: RecordBatch) -> None:
        """Look at some records of a partition."""
        seen = self._seen.get(number, 0)
        self._seen[number] = seen + len(records)
        chosen = _chosen(seen, len(records))
        if not chosen:
            return
        if self._partitions is None:
            self._partitions = self._ask_partitions()
        if self._partitions is not None:
            for index in chosen:
                self._look_at(number, records, index)

    def warning(self, now_s: float) -> PlacementWarning | None:
        """Return what is to be logged now: something was wrong, and not logged for a while."""
        newest = self._newest
        if newest is None:
            return None
        if self._warned_s is not None and now_s - self._warned_s < WARN_EVERY_S:
            return None
        self._newest, self._warned_s = None, now_s
        return newest

    def _look_at(self, number: int, records: RecordBatch, index: int) -> None:
        payload, key = records.payloads[index], records.keys[index] or b""
        identity = identity_of(payload)
        if identity is None:
            return  # a dead letter, which says what is wrong with it
        self.counts.checked += 1
        right_key = event_key(identity)
        place = self._place_of(key, number)
        is_wrong = key != right_key.encode("utf-8", "surrogatepass")
        self.counts.wrong_key += is_wrong
        if place != number:
            self.counts.elsewhere += 1
            self.counts.by_crc32 += zlib.crc32(key) % (self._partitions or 1) == number
        if is_wrong or place != number:
            shown = key.decode("utf-8", "backslashreplace")
            offset = records.offsets[index]
            self._newest = PlacementWarning(self.counts, offset, shown, right_key, place)

    def _place_of(self, key: bytes, number: int) -> int:
        """Return where the key belongs; asks again for the partitions before it accuses anyone.

        A record without a key may lie anywhere.
        """
        if not key:
            return number
        place = partition_of(key, self._partitions or 1)
        if place != number and self._newest is None:
            self._partitions = self._ask_partitions() or self._partitions
            place = partition_of(key, self._partitions or 1)
        return place


def _chosen(seen: int, records: int) -> list[int]:
    """Which of the next records to look at, the first of them being number `seen`."""
    early = range(min(records, max(0, EVERY_RECORD_UNTIL - seen)))
    from_here = len(early)
    return [*early, *range(from_here + -(seen + from_here) % STRIDE, records, STRIDE)]
