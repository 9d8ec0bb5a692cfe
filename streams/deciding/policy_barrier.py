"""Policies first: what stands in the topic of records counts before any window is judged.

Two topics come in whatever order Kafka delivers them. A worker that starts with both to read would
judge by luck: windows that came before their policy are ignored. So windows wait until the records
have been read up to where their topic ended when the partition was assigned. What is written later
counts from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from faust.types import TP

if TYPE_CHECKING:
    from understudy.streams.deciding.faust_app import DecidingApp


class PolicyBarrier:
    """How far the records have to be read, by partition."""

    def __init__(self, app: DecidingApp, topic: str) -> None:
        self._app = app
        self._topic = topic
        self._ends: dict[int, int] = {}

    def forget(self) -> None:
        """Partitions changed hands: look anew."""
        self._ends.clear()

    async def are_read(self, partition: int) -> bool:
        """Whether windows of a partition may be judged."""
        place = TP(self._topic, partition)
        if partition not in self._ends:
            try:
                self._ends[partition] = await self._end(place)
            except Exception:  # the broker is away
                return False
        return self._read_to(place) >= self._ends[partition]

    async def _end(self, place: TP) -> int:
        """The offset after the last record; 0 where none is left."""
        consumer = self._app.consumer
        end = (await consumer.highwaters(place))[place] or 0
        begin = (await consumer.earliest_offsets(place))[place] or 0
        return end if end > begin else 0

    def _read_to(self, place: TP) -> int:
        committed: dict[TP, int | None] = cast(Any, self._app.consumer)._committed_offset
        handled = self._app.handled.get((place.topic, place.partition), 0)
        return max(committed.get(place) or 0, handled)
