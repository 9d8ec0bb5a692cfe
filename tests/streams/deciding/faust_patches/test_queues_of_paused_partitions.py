"""A partition that is paused while its queue is full does not become active again by itself."""

from __future__ import annotations

from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.queues_of_paused_partitions import (
    QueuesOfPausedPartitions,
)


def test_pausing_forgets_a_full_queue() -> None:
    full, other = TP("understudy.windows", 0), TP("understudy.windows", 1)
    consumer = bare(
        QueuesOfPausedPartitions,
        _active_partitions={full, other},
        _paused_partitions=set(),
        _buffered_partitions={full, other},
    )
    consumer.pause_partitions([full])
    assert consumer._buffered_partitions == {other}
    assert consumer._paused_partitions == {full}
    assert consumer._active_partitions == {other}
