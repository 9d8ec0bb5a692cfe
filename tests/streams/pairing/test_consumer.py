"""The consumer loop on a scripted client: what it does when requests to the broker fail."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from tests.streams.pairing.log import POLICY, event
from understudy.streams.kafka.access_denied import AccessDenied
from understudy.streams.pairing.assignment import ResultStore
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.pairing.kafka_results import KafkaResults

AWAY = KafkaException(KafkaError(KafkaError._TRANSPORT))


class Broker:
    """Answers a consumer's requests; those named in `failing` fail."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.first, self.end = 0, 1_000
        self.committed_offset = -1001

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._answer("committed")
        return [TopicPartition(p.topic, p.partition, self.committed_offset) for p in places]

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self._answer("watermarks")
        return self.first, self.end

    def seek(self, place: TopicPartition) -> None:
        self._answer("seek")

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self._answer("assign")

    def list_topics(self, topic: str, timeout: float) -> object:
        raise AWAY

    def resume(self, places: list[TopicPartition]) -> None:
        pass

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def consume(self, records: int, timeout: float) -> list[Message]:
        """Serves a rebalance that takes partition 0 over, as librdkafka does within a poll."""
        self.callbacks["on_assign"](self, [TopicPartition("events", 0)])
        return []

    def close(self) -> None:
        self.asked.append("close")

    def _answer(self, request: str) -> None:
        self.asked.append(request)
        if request in self.failing:
            raise AWAY


class Record:
    """A message with an offset."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return 0

    def error(self) -> None:
        return None

    def value(self) -> bytes:
        return event(f"p{self._offset}", "stable", at_s=0)

    def key(self) -> bytes:
        return b"r/p"

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_772_366_400_000


class Sink:
    """A store that notes for which partitions it was told to start again."""

    def __init__(self) -> None:
        self.cleared: list[int] = []

    def clear(self, partition: int) -> None:
        self.cleared.append(partition)

    def put(self, *_: object) -> None:
        pass

    def send_dead_letters(self, *_: object) -> None:
        pass


class Bench:
    """A consumer that owns partition 0, or more, of a broker's log."""

    def __init__(self, *partitions: int) -> None:
        self.broker, self.sink = Broker(), Sink()
        config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}
        self.consumer = PairingConsumer(
            config, "events", POLICY, cast(KafkaResults, self.sink), cast(ResultStore, self.sink)
        )
        self.client, self.consumer._consumer = self.consumer._consumer, cast(Any, self.broker)
        self.consumer._on_assign(
            cast(Any, self.broker), [TopicPartition("events", one) for one in partitions or (0,)]
        )

    def read(self, *offsets: int) -> None:
        self.consumer._take(cast(list[Message], [Record(offset) for offset in offsets]))

    def count_lost(self) -> int:
        self.consumer._count_lost(self.consumer._assigned[0])
        return self.consumer.totals.lost_records

    def be_quiet(self) -> None:
        """Let no record have come since the machine started."""
        self.consumer._quiet_since_s = 0.0

    @property
    def position(self) -> int:
        return self.consumer.partitions[0].position


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*partitions: int) -> Bench:
        made.append(Bench(*partitions))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


def test_a_rebalance_that_fails_raises_in_the_loop_and_nothing_into_the_client(
    bench: Callable[..., Bench],
) -> None:
    one = bench()

    def refused(*_: object) -> None:
        raise RuntimeError("no right to read what the group has committed")

    one.consumer._starts_with_retries = refused  # type: ignore[assignment,method-assign]
    with pytest.raises(RuntimeError, match="no right to read"):
        one.consumer.run(threading.Event())
    assert one.broker.asked[-1] == "close"


def test_a_worker_that_reads_nothing_asks_whether_it_may(bench: Callable[..., Bench]) -> None:
    one = bench()
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    topic = types.SimpleNamespace(error=refused)
    one.broker.list_topics = lambda *_, **__: types.SimpleNamespace(  # type: ignore[assignment,method-assign]
        topics={"events": topic}
    )
    assert one.consumer.partitions, "partitions of which librdkafka says nothing any more"
    one.consumer._check_if_quiet(cast(list[Message], [Record(0)]))
    one.consumer._check_if_quiet([])
    one.be_quiet()
    with pytest.raises(AccessDenied, match="Read on topic events"):
        one.consumer._check_if_quiet([])
    topic.error = None
    one.consumer._check_if_quiet([])
    topic.error = refused
    one.consumer._check_if_quiet([])  # it asked a moment ago


def test_a_broker_that_is_away_is_no_refusal(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.be_quiet()
    one.consumer._check_if_quiet([])


def test_marks_of_transactions_cost_no_request_a_batch(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.broker.asked.clear()
    one.read(0, 1)
    one.read(3, 4, 6)
    one.read(7, 9)
    assert one.broker.asked == []
    assert one.count_lost() == 0
    assert one.count_lost() == 0
    assert one.broker.asked == ["watermarks"]


def test_what_retention_deleted_is_counted_when_the_broker_says_so(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    one.broker.failing = {"watermarks"}
    one.read(0, 1)
    one.broker.first = 50
    one.read(50, 51, 53)
    assert one.count_lost() == 0, "and nothing is raised"
    one.broker.failing = set()
    assert one.count_lost() == 48
    assert one.count_lost() == 48


@pytest.mark.parametrize("failing", ["committed", "watermarks", "seek"])
def test_a_restart_that_fails_changes_nothing_and_reads_nothing(
    bench: Callable[..., Bench], failing: str
) -> None:
    one = bench()
    one.read(0, 1, 2, 3)
    state = one.consumer.partitions[0]
    one.broker.failing, one.broker.committed_offset = {failing}, 2_000
    one.sink.cleared.clear()
    one.read(0)
    assert one.consumer.partitions[0] is state
    assert one.sink.cleared == []
    one.read(4, 5)
    assert one.position == 4, "the state is of another log"
    assert one.consumer._readable() == [], "nor is anything committed"
    one.broker.failing = set()
    one.read(6)
    assert one.consumer.partitions[0] is not state
    assert one.position == 0
    assert one.sink.cleared == [0]
    one.read(0, 1)
    assert one.position == 2


def test_all_partitions_are_asked_for_at_once(bench: Callable[..., Bench]) -> None:
    one = bench(0, 1, 2)
    assert one.broker.asked == ["committed", *["watermarks"] * 3, "assign"]


def test_nothing_committed_is_no_offset(bench: Callable[..., Bench]) -> None:
    assert bench().consumer.committed[0] < 0


def gather(one: Bench, *offsets: int) -> None:
    one.consumer._gathered += cast(list[Message], [Record(offset) for offset in offsets])


def test_few_messages_are_gathered_and_many_are_processed(bench: Callable[..., Bench]) -> None:
    one = bench()
    gather(one, *range(1000))
    assert not one.consumer._is_enough_gathered([])
    gather(one, *range(1000, 1024))
    assert one.consumer._is_enough_gathered([])
    one.consumer._take_gathered()
    assert one.position == 1024
    assert not one.consumer._is_enough_gathered([])


def test_a_failure_waits_for_no_further_messages(bench: Callable[..., Bench]) -> None:
    one = bench()

    def told(code: int) -> list[Message]:
        return [cast(Message, types.SimpleNamespace(error=lambda: KafkaError(code)))]

    assert one.consumer._is_enough_gathered(told(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert not one.consumer._is_enough_gathered(told(KafkaError._PARTITION_EOF))


def test_what_was_gathered_of_a_partition_goes_when_it_is_read_anew(
    bench: Callable[..., Bench],
) -> None:
    one = bench()
    gather(one, 0, 1, 2)
    one.consumer._restart(0)
    gather(one, 0, 1)
    one.consumer._take_gathered()
    assert one.position == 2
    gather(one, 2, 3)
    one.consumer._on_lost(cast(Any, one.broker), [TopicPartition("events", 0)])
    assert one.consumer._gathered == []


def test_it_waits_between_looks_but_not_while_there_is_a_backlog() -> None:
    one = Bench()
    some = cast(list[Message], [Record(0)])
    assert one.consumer._pause_s(some * 1_024) == 0.0
    assert 0.0 < one.consumer._pause_s(some) < one.consumer._pause_s([])
    one.consumer._assigned.clear()
    assert one.consumer._pause_s([]) == one.consumer._pause_s(some), "an assignment may come soon"
