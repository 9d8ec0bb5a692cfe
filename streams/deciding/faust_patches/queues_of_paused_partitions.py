"""A paused partition stays paused, whatever its queue was like.

Upstream: a partition whose queue is full is taken out of the active ones and noted as buffered;
when the queue has room again it becomes active, paused or not. During a recovery every queue is
empty, so partitions that were full before are fetched from before their table is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP


class QueuesOfPausedPartitions(Consumer):
    """Forgets that a queue was full when its partition is paused."""

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Pause, and no longer wait for room in their queues."""
        paused = set(tps)
        super().pause_partitions(paused)
        self._buffered_partitions.difference_update(paused)
