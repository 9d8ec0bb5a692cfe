"""The patches put together: what the app takes instead of Faust's own."""

from __future__ import annotations

from typing import Any

from faust.transport.drivers.aiokafka import Transport

from understudy.streams.deciding.faust_patches.calls_side_by_side import CallsSideBySide
from understudy.streams.deciding.faust_patches.commits_in_order import CommitsInOrder
from understudy.streams.deciding.faust_patches.fetch_of_one_assignment import FetchOfOneAssignment
from understudy.streams.deciding.faust_patches.fetch_of_paused_partitions import (
    FetchOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.fetch_wait import FetchWait
from understudy.streams.deciding.faust_patches.heartbeat_lease import HeartbeatLease
from understudy.streams.deciding.faust_patches.queues_of_paused_partitions import (
    QueuesOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.seek_without_commit import SeekWithoutCommit
from understudy.streams.deciding.faust_patches.unpack_limit import limit_unpacking
from understudy.streams.deciding.faust_patches.unreadable_batches import (
    read_over_unreadable_batches,
)


class PatchedThread(HeartbeatLease, FetchWait, FetchOfOneAssignment, CallsSideBySide):
    """The consumer's thread."""


class PatchedConsumer(
    FetchOfPausedPartitions, SeekWithoutCommit, QueuesOfPausedPartitions, CommitsInOrder
):
    """Takes from aiokafka's buffer only what is delivered."""

    def _new_consumer_thread(self) -> PatchedThread:
        return PatchedThread(self, loop=self.loop, beacon=self.beacon)


class PatchedTransport(Transport):
    """aiokafka's, with the patched consumer."""

    Consumer = PatchedConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        limit_unpacking()
        read_over_unreadable_batches()
        super().__init__(*args, **kwargs)
