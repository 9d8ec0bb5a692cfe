"""Keys go where librdkafka's `murmur2_random` and the Java client put them."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.integration.topic_log import partition_of as independent
from tests.streams.diagnostics.brokers import MakeTopics, read_all
from understudy.streams.kafka.partitioner import partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_values_that_kafkas_own_tests_hold(key: bytes, expected: int) -> None:
    assert partition_of(key, 2**31) == expected & 0x7FFF_FFFF


def test_two_hundred_keys_lie_where_an_independent_implementation_puts_them() -> None:
    for number in range(200):
        key = f"rollout {number % 7} 語/{'x' * (number % 9)}{number}".encode()
        assert partition_of(key, 12) == independent(key, 12)


@pytest.mark.integration
def test_a_producer_puts_every_key_there(kafka_broker: Broker, topics: MakeTopics) -> None:
    name = topics(event_partitions=5).events.name
    config = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    producer = Producer({**config, "partitioner": "murmur2_random"})
    for number in range(500):
        producer.produce(
            name, b"", f"rollout {number % 7} 語/{'x' * (number % 9)}{number}".encode()
        )
    assert producer.flush(20) == 0
    for message in read_all(kafka_broker, name):
        assert partition_of(message.key() or b"", 5) == message.partition()
