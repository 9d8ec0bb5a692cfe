"""What is committed lies behind all that is done, gaps included."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import defaultdict
from random import Random
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from intervaltree import IntervalTree

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.commits_over_gaps import CommitsOverGaps
from understudy.streams.deciding.faust_patches.unreadable_batches import UnreadableValue
from understudy.streams.kafka.unreadable import UnreadableBatch

WINDOWS = TP("understudy.windows", 0)


def consumer(committed: int | None = None) -> Any:
    return bare(
        CommitsOverGaps,
        app=SimpleNamespace(consumer_generation_id=1),
        _acked=defaultdict(list),
        _acked_index=defaultdict(set),
        _gap=defaultdict(IntervalTree),
        _committed_offset=defaultdict(lambda: None, {WINDOWS: committed}),
    )


def commit(one: Any, *acked: int) -> int | None:
    one._acked[WINDOWS].extend(acked)
    offset: int | None = one._new_offset(WINDOWS)
    one._committed_offset[WINDOWS] = offset or one._committed_offset[WINDOWS]
    return offset


def gap(one: Any, before: int, after: int) -> None:
    asyncio.run(one._add_gap(WINDOWS, before + 1, after))


def test_gaps_are_passed_when_what_follows_is_done() -> None:
    one = consumer(5)
    gap(one, 6, 10)
    assert commit(one, 5, 6) == 7
    assert commit(one) is None
    assert commit(one, 10) == 11
    assert not one._gap[WINDOWS]


def test_at_random() -> None:
    """Messages are read in order, with gaps between, and done in order, some at a time."""
    for seed in range(300):
        rng = Random(seed)
        one, done, last = consumer(1), [1], 1
        for _ in range(30):
            offset = last + rng.choice((1, 1, 2, 7))
            if offset - last > 1:
                gap(one, last, offset)
            done.append(offset)
            last = offset
            if rng.random() < 0.4:
                assert commit(one, *done) == last + 1, seed
                done = []


def test_a_batch_of_many_records_takes_no_memory() -> None:
    one = consumer()
    value = UnreadableValue.of(UnreadableBatch(1, 400_000_001, "too large"))
    record = SimpleNamespace(
        topic=WINDOWS.topic, partition=0, offset=400_000_000, timestamp=0, timestamp_type=0,
        headers=(), key=None, value=value, checksum=None, serialized_key_size=-1,
        serialized_value_size=-1,
    )  # fmt: skip
    assert commit(one, 0) == 1
    tracemalloc.start()
    assert one._to_message(WINDOWS, record).value == b""
    assert commit(one, 400_000_000) == 400_000_001
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
