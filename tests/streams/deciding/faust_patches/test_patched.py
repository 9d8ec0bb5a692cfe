"""The consumer and its thread have every patch."""

from __future__ import annotations

from understudy.streams.deciding.faust_patches.calls_side_by_side import CallsSideBySide
from understudy.streams.deciding.faust_patches.commits_in_order import CommitsInOrder
from understudy.streams.deciding.faust_patches.fetch_of_one_assignment import FetchOfOneAssignment
from understudy.streams.deciding.faust_patches.fetch_of_paused_partitions import (
    FetchOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.fetch_wait import FetchWait
from understudy.streams.deciding.faust_patches.heartbeat_lease import HeartbeatLease
from understudy.streams.deciding.faust_patches.patched import (
    PatchedConsumer,
    PatchedThread,
    PatchedTransport,
)
from understudy.streams.deciding.faust_patches.queues_of_paused_partitions import (
    QueuesOfPausedPartitions,
)
from understudy.streams.deciding.faust_patches.seek_without_commit import SeekWithoutCommit


def test_methods_come_from_the_patches() -> None:
    assert PatchedTransport.Consumer is PatchedConsumer
    assert PatchedConsumer._getmany is FetchOfPausedPartitions._getmany
    assert PatchedConsumer._new_offset is CommitsInOrder._new_offset
    assert PatchedConsumer.perform_seek is SeekWithoutCommit.perform_seek
    assert PatchedConsumer.pause_partitions is QueuesOfPausedPartitions.pause_partitions
    assert PatchedThread.on_start is HeartbeatLease.on_start
    assert PatchedThread._create_worker_consumer is FetchWait._create_worker_consumer
    assert PatchedThread.method_queue is CallsSideBySide.method_queue
    assert PatchedThread.getmany is FetchOfOneAssignment.getmany
