"""Nothing is committed that a sink does not hold, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.streams.pairing.log import POLICY, event
from understudy.streams.pairing.assignment import Assignment, ConsumerTotals
from understudy.streams.pairing.backpressure import Backpressure
from understudy.streams.pairing.checkpoint import Checkpointer, note_acknowledged
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.records import RecordBatch
from understudy.streams.pairing.windows_messages import ChangedRows

RECORDS = 3


class Group:
    """The consumer group, as far as a checkpoint talks to it."""

    def __init__(self) -> None:
        self.commits: list[tuple[int, bool]] = []
        """Offsets, and whether their commit was waited for."""
        self.positions: list[int] = []
        """Up to where the sinks had everything, by the metadata of the commits."""
        self.answers = True

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        metadata = [CommitMetadata.decode(one.metadata) for one in offsets]
        self.positions += [one.position for one in metadata if one is not None]
        self.commits += [(one.offset, not asynchronous) for one in offsets]

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if not self.answers:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return places


class Topic:
    """The topics of windows and dead letters."""

    def __init__(self) -> None:
        self.sent = 0
        self.delivers = [True]
        """What the next flushes say; the last one stays."""

    def send_rows(self, changed: list[ChangedRows]) -> None:
        self.sent += sum(len(one.rows) for one in changed)

    def flush(self, timeout_s: float) -> bool:
        return self.delivers.pop(0) if len(self.delivers) > 1 else self.delivers[0]


class Store:
    """ClickHouse."""

    def __init__(self) -> None:
        self.healthy, self.inserts = True, 0
        self.queued = self.stored_to = 0
        self.flushes_s: list[float] = []

    def put_rows(self, rows: list[Any], positions: dict[int, int]) -> None:
        (self.queued,) = positions.values()

    def stored(self, partition: int) -> int:
        return self.stored_to

    def flush(self, deadline_s: float) -> bool:
        self.flushes_s.append(deadline_s)
        if self.healthy:
            self.stored_to = self.queued
        return self.healthy


class Bench:
    """One partition, of which three events have been read."""

    def __init__(self) -> None:
        self.group, self.topic, self.store = Group(), Topic(), Store()
        self.totals = ConsumerTotals()
        group: Any = self.group
        topic: Any = self.topic
        store: Any = self.store
        log = structlog.get_logger()
        self.checkpointer = Checkpointer(
            group, "events", topic, store, Backpressure(group, "events", store, log), self.totals,
            log,
        )  # fmt: skip
        self.assignment = Assignment(Partition(2, POLICY), committed=0)
        payloads = [event(name) for name in "abc"]
        batch = RecordBatch(payloads, range(RECORDS), [10**15] * RECORDS, [None] * RECORDS)
        self.assignment.state.process(batch)

    def emit_and_deliver(self) -> bool:
        emitted = self.checkpointer.emit([self.assignment])
        return self.checkpointer.deliver(emitted, lambda: False)

    def commit(self) -> None:
        self.checkpointer.commit([self.assignment])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_commit_goes_as_far_as_the_slower_of_both_sinks(bench: Bench) -> None:
    assert bench.emit_and_deliver()
    assert (bench.assignment.published, bench.store.queued) == (RECORDS, RECORDS)
    bench.commit()
    bench.store.stored_to = RECORDS
    bench.commit()
    assert bench.group.positions == [0, RECORDS]
    assert bench.totals.commits == 2


def test_what_the_group_has_is_not_committed_again(bench: Bench) -> None:
    bench.emit_and_deliver()
    bench.store.stored_to = RECORDS
    safe = bench.assignment.state.safe_commit(RECORDS)
    assert safe is not None
    place = TopicPartition("events", 2, safe.offset, metadata=safe.metadata.encode())
    note_acknowledged({2: bench.assignment}, None, [place])
    bench.commit()
    assert bench.group.commits == []


def test_a_commit_that_failed_is_no_acknowledgement(bench: Bench) -> None:
    place = TopicPartition("events", 2, 0, metadata="x")
    note_acknowledged({2: bench.assignment}, KafkaError(KafkaError._TIMED_OUT), [place])
    note_acknowledged({}, None, [place])
    assert bench.assignment.acknowledged is None


def test_rows_that_the_broker_does_not_have_are_not_published(bench: Bench) -> None:
    bench.topic.delivers = [False]
    assert not bench.emit_and_deliver()
    assert bench.assignment.published < 0
    bench.topic.delivers = [False, False, True]
    asked: list[bool] = []
    emitted = bench.checkpointer.emit([bench.assignment])
    assert bench.checkpointer.deliver(emitted, lambda: not asked.append(True))  # type: ignore[func-returns-value]
    assert len(asked) == 2, "the group is served while the broker takes nothing"
    assert bench.assignment.published == RECORDS


def test_rows_wait_for_earlier_results_that_are_held(bench: Bench) -> None:
    bench.assignment.held = lambda: None
    assert bench.checkpointer.emit([bench.assignment]) == []
    assert bench.topic.sent == 0


def test_a_release_flushes_and_waits_for_its_commit(bench: Bench) -> None:
    bench.checkpointer.release([bench.assignment], 10.0)
    assert bench.store.stored_to == RECORDS
    assert bench.group.commits == [(0, True)]


def test_a_release_does_not_wait_for_sinks_that_are_away(bench: Bench) -> None:
    """ClickHouse for a second; a group that does not answer not for a commit at all."""
    bench.store.healthy = False
    bench.group.answers = False
    bench.checkpointer.release([bench.assignment], 10.0)
    assert max(bench.store.flushes_s) <= 1.0
    assert bench.group.commits == []


def test_a_release_without_delivery_commits_nothing(bench: Bench) -> None:
    bench.topic.delivers = [False]
    bench.checkpointer.release([bench.assignment], 0.0)
    assert bench.group.commits == []
