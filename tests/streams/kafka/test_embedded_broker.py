"""The mock cluster carries messages, groups and offsets, and has the limits that are documented."""

from __future__ import annotations

import socket

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITION_BYTES, EmbeddedBroker

pytestmark = pytest.mark.embedded

TOPIC = "questions"


def send(broker: EmbeddedBroker, values: list[bytes]) -> None:
    producer = Producer(broker.client_config)
    for value in values:
        producer.produce(TOPIC, value, partition=0)
    assert producer.flush(20) == 0


def consumer_of(broker: EmbeddedBroker) -> Consumer:
    settings = {
        "group.id": "readers",
        "group.protocol": "consumer",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    return Consumer(broker.client_config | settings)


def read(consumer: Consumer, count: int) -> list[bytes | None]:
    """Values of the next `count` messages; fewer after 20 s."""
    messages: list[Message] = []
    for _ in range(200):
        messages += consumer.consume(count - len(messages), timeout=0.1)
        if len(messages) == count:
            break
    return [message.value() for message in messages]


def test_group_goes_on_from_its_committed_offset_and_metadata(
    embedded_broker: EmbeddedBroker,
) -> None:
    send(embedded_broker, [b"a", b"b", b"c"])
    first = consumer_of(embedded_broker)
    first.subscribe([TOPIC])
    assert read(first, 3) == [b"a", b"b", b"c"]
    first.commit(offsets=[TopicPartition(TOPIC, 0, 1, metadata="one")], asynchronous=False)
    first.close()
    second = consumer_of(embedded_broker)
    second.subscribe([TOPIC])
    assert read(second, 2) == [b"b", b"c"]
    assert second.committed([TopicPartition(TOPIC, 0)], timeout=10)[0].metadata == "one"
    second.close()


def test_full_partition_drops_its_oldest_messages(embedded_broker: EmbeddedBroker) -> None:
    send(embedded_broker, [b"x" * 1000] * 20_000)
    consumer = consumer_of(embedded_broker)
    low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=10)
    consumer.close()
    assert high == 20_000
    kept_bytes = (high - low) * 1000
    assert 0.5 * EMBEDDED_PARTITION_BYTES < kept_bytes <= EMBEDDED_PARTITION_BYTES


def test_brokers_are_as_many_as_asked_for() -> None:
    with EmbeddedBroker(brokers=3) as broker:
        assert len(broker.bootstrap_servers.split(",")) == 3


def test_closed_broker_frees_its_port_and_has_no_address() -> None:
    broker = EmbeddedBroker()
    broker.start()
    host, port = broker.bootstrap_servers.split(":")
    broker.close()
    broker.close()
    with pytest.raises(RuntimeError, match="not running"):
        _ = broker.bootstrap_servers
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
