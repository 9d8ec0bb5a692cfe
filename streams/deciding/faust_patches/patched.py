"""The patches put together: what the app takes instead of Faust's own."""

from __future__ import annotations

from faust.transport.drivers.aiokafka import Transport

from understudy.streams.deciding.faust_patches.fetch_of_paused_partitions import (
    FetchOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.fetch_wait import FetchWait
from understudy.streams.deciding.faust_patches.heartbeat_lease import HeartbeatLease
from understudy.streams.deciding.faust_patches.queues_of_paused_partitions import (
    QueuesOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.seek_without_commit import SeekWithoutCommit


class PatchedThread(HeartbeatLease, FetchWait):
    """The consumer's thread."""


class PatchedConsumer(FetchOfPausedPartitions, SeekWithoutCommit, QueuesOfPausedPartitions):
    """Takes from aiokafka's buffer only what is delivered."""

    def _new_consumer_thread(self) -> PatchedThread:
        return PatchedThread(self, loop=self.loop, beacon=self.beacon)


class PatchedTransport(Transport):
    """aiokafka's, with the patched consumer."""

    Consumer = PatchedConsumer
