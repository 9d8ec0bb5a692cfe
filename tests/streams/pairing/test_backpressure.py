"""A full buffer holds what is read again, and never what decisions wait for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import structlog

from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.pairing.assignment import Assignment
from understudy.streams.pairing.backpressure import Backpressure
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy


class Consumer:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def pause(self, partitions: list[Any]) -> None:
        self.calls += [("pause", one.partition) for one in partitions]

    def resume(self, partitions: list[Any]) -> None:
        self.calls += [("resume", one.partition) for one in partitions]


class Store:
    def __init__(self) -> None:
        self.healthy, self.inserts, self.has_room = True, 0, True
        self.puts = 0

    def put(self) -> None:
        if not self.has_room:
            raise SinkBusy("full")
        self.puts += 1


class Bench:
    def __init__(self) -> None:
        self.consumer, self.store = Consumer(), Store()
        self.assignment = Assignment(Partition(2, PairingPolicy(), start_offset=10), committed=10)
        consumer: Any = self.consumer
        store: Any = self.store
        self.backpressure = Backpressure(consumer, "events", store, structlog.get_logger())

    def put(self) -> None:
        self.backpressure.put(self.assignment, self.store.put)

    def to_rewind(self) -> bool:
        return bool(self.backpressure.to_rewind([self.assignment]))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_results_go_to_the_store_while_it_has_room(bench: Bench) -> None:
    bench.put()
    assert bench.store.puts == 1
    assert not bench.to_rewind()


def test_without_room_results_are_left_out_until_an_insert_succeeds(bench: Bench) -> None:
    bench.store.has_room = False
    bench.put()
    bench.store.has_room = True
    bench.put()
    assert bench.store.puts == 0, "a gap must not be followed by later results"
    assert bench.consumer.calls == []
    assert not bench.to_rewind()
    bench.store.inserts += 1
    assert bench.to_rewind()
    bench.store.healthy = False
    assert not bench.to_rewind()


def test_what_is_read_again_is_held_while_the_partition_pauses(bench: Bench) -> None:
    bench.assignment.published_before_rewind = 10
    bench.store.has_room = False
    bench.put()
    assert bench.consumer.calls == [("pause", 2)]
    bench.backpressure.put_held([bench.assignment])
    assert bench.store.puts == 0
    bench.store.has_room = True
    bench.backpressure.put_held([bench.assignment])
    assert bench.store.puts == 1
    assert bench.consumer.calls[-1] == ("resume", 2)
    assert bench.assignment.held is None


def test_an_unhealthy_store_holds_nothing(bench: Bench) -> None:
    bench.assignment.published_before_rewind = 10
    bench.store.has_room = bench.store.healthy = False
    bench.put()
    assert bench.assignment.missing_results
    assert bench.consumer.calls == []


class Rows:
    """A store with room for the results of few partitions at once."""

    def __init__(self, room: int) -> None:
        self.healthy, self.inserts, self.room = True, 0, room
        self.taken: list[list[int]] = []

    def put(self, partitions: Collection[int]) -> None:
        if len(partitions) > self.room:
            raise SinkBusy("full")
        self.room -= len(partitions)
        self.taken.append(list(partitions))


def test_partitions_are_put_at_once_or_those_for_which_there_is_room(bench: Bench) -> None:
    others = [Assignment(Partition(n, PairingPolicy()), committed=0) for n in (3, 4)]
    everything = [bench.assignment, *others]
    store = Rows(room=3)
    bench.backpressure.put_together(everything, store.put)
    assert store.taken == [[2, 3, 4]]
    store = Rows(room=2)
    bench.backpressure.put_together(everything, store.put)
    assert store.taken == [[2], [3]]
    assert [one.missing_results for one in everything] == [False, False, True]
    store = Rows(room=3)
    bench.backpressure.put_together(everything, store.put)
    assert store.taken == [[2, 3]], "a gap must not be followed by later results"
