"""Kafka goes away under a gateway and comes back: nothing waits, nothing is halved, all goes on."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter

import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.gateways.decisions import decision_bytes
from tests.integration.topic_log import read_topic
from tests.waiting import wait_until
from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.gateways.publisher import Publisher
from understudy.schemas.events import Event, Response, Side, decode_event
from understudy.schemas.topics import understudy_topics
from understudy.streams.kafka.topic_admin import ensure_topics

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DEADLINE_S = 120.0
SLOWEST_S = 1.0
"""Of one call of `publish`, which takes microseconds; machines under test share their cores."""
QUEUE_BYTES = 256 * 1024


def pair(pair_id: str) -> list[Event]:
    sides: tuple[Side, Side] = ("stable", "candidate")
    return [
        Event(
            schema_version=1, rollout_id="checkout", pair_id=pair_id, mode="shadow", side=side,
            sides=sides, request_time=dt.datetime.now(dt.UTC), response=Response(output="x" * 500),
        )
        for side in sides
    ]  # fmt: skip


def decide(broker: Broker, share: float) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce("understudy.decisions", decision_bytes(candidate_share=share), "checkout")
    assert producer.flush(DEADLINE_S) == 0


def test_gateway_outlives_its_broker(own_broker: Broker) -> None:
    config = {"bootstrap.servers": own_broker.bootstrap_servers}
    specs = understudy_topics(event_partitions=3)
    ensure_topics(config, specs, replication_factor=1, timeout_s=DEADLINE_S)
    decide(own_broker, 0.05)
    decisions, publisher = KafkaDecisions(config), Publisher(config, max_bytes=QUEUE_BYTES)
    assert decisions.wait_until_read(DEADLINE_S)
    assert publisher.publish(*pair("before"))
    assert publisher.flush(DEADLINE_S)

    own_broker.stop()
    slowest_s, taken = 0.0, 1
    for number in range(1_000):
        began_s = time.monotonic()
        taken += publisher.publish(*pair(f"p{number}"))
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    assert slowest_s < SLOWEST_S
    assert 1 < taken < 1_000, "the queue is bounded"
    known = decisions.allocation("checkout")
    assert known is not None
    assert known.candidate_share == 0.05, "it stays, and grows older"

    own_broker.restart()
    decide(own_broker, 0.25)
    assert publisher.flush(DEADLINE_S)
    wait_until(lambda: publisher.delivered == 2 * taken, "all reports")
    assert publisher.publish(*pair("after"))
    assert publisher.close(DEADLINE_S)
    assert publisher.failed == 0
    wait_until(
        lambda: (a := decisions.allocation("checkout")) and a.candidate_share == 0.25,
        "the decision after the restart",
    )
    decisions.close()
    sides = Counter(
        decode_event(record.value).pair_id
        for log in read_topic(own_broker, specs.events.name)
        for record in log
    )
    assert len(sides) == taken + 1
    assert min(sides.values()) >= 2, "no request is halved"
