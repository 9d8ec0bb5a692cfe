"""The observer against a real broker: what is stuck, and what only looks like it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.streams.diagnostics.brokers import MakeTopics, event, key, write
from understudy.streams.monitoring import observer as module
from understudy.streams.monitoring.health import Place, Status, health, readiness
from understudy.streams.monitoring.observer import Observer
from understudy.streams.monitoring.worker_snapshot import Parts
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition import Partition
from understudy.streams.settings import KafkaSettings

STALL_S = 0.5


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.1)


class StuckConsumer:
    """Holds partitions and does not move."""

    def __init__(self, topic: str, *positions: int) -> None:
        self.source, self.topic = "events", topic
        self.group_id = KafkaSettings().group_id
        self.partitions = {
            n: Partition(n, PairingPolicy(), start_offset=p) for n, p in enumerate(positions)
        }
        self.committed: dict[int, int] = {}
        self.member_id = ""


@contextmanager
def observing(broker: Broker, consumer: Any) -> Iterator[Observer]:
    loader = SimpleNamespace(healthy=True, broken=None)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    parts = Parts([consumer], loader)  # type: ignore[arg-type]
    observer = Observer(kafka, parts, stall_s=STALL_S)
    observer.start()
    yield observer
    observer.stop()


def wait_for(done: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return done()


@pytest.mark.integration
def test_records_that_another_reader_gets_are_a_stall(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    name = topics(event_partitions=1).events.name
    write(kafka_broker, name, [(key(n), event(n), []) for n in range(3)])
    consumer = StuckConsumer(name, 1)
    with observing(kafka_broker, consumer) as observer:
        assert wait_for(lambda: not health(observer.condition()).ok)
        (stall,) = observer.condition().stalls
        assert (stall.position, stall.lag) == (1, 2)
        consumer.partitions[0].position = 2
        assert wait_for(lambda: health(observer.condition()).ok)


@pytest.mark.integration
def test_an_idle_partition_is_well(kafka_broker: Broker, topics: MakeTopics) -> None:
    name = topics(event_partitions=2).events.name
    with observing(kafka_broker, StuckConsumer(name, 0, 0)) as observer:
        assert wait_for(lambda: not observer.condition().outside)
        assert not wait_for(lambda: not health(observer.condition()).ok, 4 * STALL_S)
        assert observer.condition().kafka_reachable


@pytest.mark.integration
def test_marks_of_transactions_are_no_stall(kafka_broker: Broker, topics: MakeTopics) -> None:
    name = topics(event_partitions=1).events.name
    producer = Producer(
        {"bootstrap.servers": kafka_broker.bootstrap_servers, "transactional.id": name}
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(name, event(1), key(1))
    producer.commit_transaction()
    with observing(kafka_broker, StuckConsumer(name, 1)) as observer:
        assert wait_for(lambda: observer._ends == {Place("events", 0): 2})
        assert not wait_for(lambda: not health(observer.condition()).ok, 6 * STALL_S)


@pytest.mark.integration
def test_who_is_unknown_to_the_group_is_not_ready(kafka_broker: Broker, topics: MakeTopics) -> None:
    consumer = StuckConsumer(topics().events.name)
    consumer.member_id = "made up"
    with observing(kafka_broker, consumer) as observer:
        time.sleep(1)
        assert readiness(observer.condition()).status is Status.BAD


@pytest.mark.faults
def test_a_broker_that_went_away_is_no_illness(own_broker: Broker) -> None:
    with observing(own_broker, StuckConsumer("nothing", 0)) as observer:
        own_broker.stop()
        assert wait_for(lambda: not observer.condition().kafka_reachable, 20)
        report = health(observer.condition())
        assert report.status is Status.DEGRADED
        assert report.reasons == ("Kafka does not answer",)
