"""The monitor of pairing against a real broker: what is stuck, and what only looks like it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.streams.diagnostics.brokers import MakeTopics, event, key, write
from tests.waiting import stays_true, wait_until
from understudy.streams.monitoring.health import HealthStatus
from understudy.streams.monitoring.pairing_health import pairing_health, pairing_readiness
from understudy.streams.monitoring.pairing_monitor import PairingMonitor
from understudy.streams.monitoring.pairing_snapshot import PairingParts
from understudy.streams.monitoring.stall_detector import SourcePartition
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import KafkaSettings

STALL_TIMEOUT_S = 0.5


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
def monitoring(broker: Broker, consumer: Any) -> Iterator[PairingMonitor]:
    loader = SimpleNamespace(healthy=True, broken=None)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    parts = PairingParts([consumer], loader)  # type: ignore[arg-type]
    monitor = PairingMonitor(kafka, parts, stall_timeout_s=STALL_TIMEOUT_S, interval_s=0.1)
    monitor.start()
    yield monitor
    monitor.stop()


def stays_well(monitor: PairingMonitor, for_s: float) -> None:
    stays_true(lambda: pairing_health(monitor.condition()).ok, "pairing is well", for_s)


@pytest.mark.integration
def test_records_that_another_reader_gets_are_a_stall(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    name = topics(event_partitions=1).events.name
    write(kafka_broker, name, [(key(n), event(n), []) for n in range(3)])
    consumer = StuckConsumer(name, 1)
    with monitoring(kafka_broker, consumer) as monitor:
        wait_until(lambda: not pairing_health(monitor.condition()).ok, "the monitor has seen it")
        (stall,) = monitor.condition().stalled
        assert (stall.position, stall.lag) == (1, 2)
        consumer.partitions[0].position = 2
        wait_until(lambda: pairing_health(monitor.condition()).ok, "the monitor has seen it")


@pytest.mark.integration
def test_an_idle_partition_is_well(kafka_broker: Broker, topics: MakeTopics) -> None:
    name = topics(event_partitions=2).events.name
    with monitoring(kafka_broker, StuckConsumer(name, 0, 0)) as monitor:
        wait_until(lambda: not monitor.condition().not_joined, "the monitor has seen it")
        stays_true(
            lambda: pairing_health(monitor.condition()).ok,
            "pairing is well",
            for_s=4 * STALL_TIMEOUT_S,
        )
        assert monitor.condition().kafka_reachable


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
    with monitoring(kafka_broker, StuckConsumer(name, 1)) as monitor:
        wait_until(
            lambda: monitor._ends == {SourcePartition("events", 0): 2}, "the monitor has seen it"
        )
        stays_true(
            lambda: pairing_health(monitor.condition()).ok,
            "pairing is well",
            for_s=6 * STALL_TIMEOUT_S,
        )


@pytest.mark.integration
def test_who_is_unknown_to_the_group_is_not_ready(kafka_broker: Broker, topics: MakeTopics) -> None:
    consumer = StuckConsumer(topics().events.name)
    consumer.member_id = "made up"
    with monitoring(kafka_broker, consumer) as monitor:
        stays_true(
            lambda: pairing_readiness(monitor.condition()).status is HealthStatus.FAILING,
            "it is not ready",
            for_s=1.0,
        )


@pytest.mark.faults
def test_a_broker_that_went_away_is_no_illness(own_broker: Broker) -> None:
    with monitoring(own_broker, StuckConsumer("nothing", 0)) as monitor:
        own_broker.stop()
        wait_until(lambda: not monitor.condition().kafka_reachable, "the monitor has seen it")
        report = pairing_health(monitor.condition())
        assert report.status is HealthStatus.DEGRADED
        assert report.reasons == ("Kafka does not answer",)
