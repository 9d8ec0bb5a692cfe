"""Readers of whole topics step over batches that cannot be unpacked."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from tests.brokers.bomb import bomb
from tests.brokers.contract import Broker
from tests.waiting import wait_until
from understudy.schemas.topics import Topics
from understudy.streams.kafka.compacted_topic import TopicFollower, read_snapshot
from understudy.streams.kafka.offsets import has_record_at
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def poisoned(kafka_broker: Broker, topics: Callable[..., Topics]) -> tuple[KafkaSettings, str]:
    """The topic of decisions with a record, a bomb, a record, and a bomb."""
    servers = kafka_broker.bootstrap_servers
    topic = topics(rollout_partitions=1).decisions.name
    producer = Producer({"bootstrap.servers": servers})
    for name in ("before", "after"):
        producer.produce(topic, name.encode(), name)
        assert producer.flush(30) == 0
        bomb(servers, topic, key=b"bomb")
    return KafkaSettings(bootstrap_servers=servers), topic


def test_a_topic_is_read_around_them(poisoned: tuple[KafkaSettings, str]) -> None:
    kafka, topic = poisoned
    assert read_snapshot(kafka, topic).values.keys() == {"before", "after"}
    with TopicReader(kafka, topic) as reader:
        first, end = reader.bounds()[0]
        assert [m.value() for m in reader.read({0: (first + 2, end - 1)})] == [b"after"]


def test_a_follower_catches_up_all_the_same(poisoned: tuple[KafkaSettings, str]) -> None:
    kafka, topic = poisoned
    seen: list[object] = []
    with TopicFollower(kafka, [topic]) as follower:

        def caught_up() -> bool:
            seen.extend(message.value() for message in follower.take(0.1))
            return follower.has_caught_up(time.monotonic())

        wait_until(caught_up, "the follower is at the end of the topic")
    assert seen == [b"before", b"after"]


def test_one_that_does_not_move_there_has_something_to_read(
    poisoned: tuple[KafkaSettings, str],
) -> None:
    """So that a reader which waits before such a batch counts as stalled."""
    kafka, topic = poisoned
    assert has_record_at(kafka, (topic, 0), 1, 30.0) is True
