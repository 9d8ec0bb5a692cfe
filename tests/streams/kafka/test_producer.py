"""Producing: what the broker has is counted, what it refuses is raised or counted."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from understudy.streams.kafka.client_config import producer_config
from understudy.streams.kafka.compacted_topic import read_snapshot
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.producer import BufferedProducer, DeliveryFailed, send_and_wait
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

TOPIC = "answers"
DEADLINE_S = 30.0
NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def settings(broker: EmbeddedBroker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers, client={"log_level": 0})


def test_what_was_delivered_is_counted(embedded_broker: EmbeddedBroker) -> None:
    producer = BufferedProducer(producer_config(settings(embedded_broker)))
    for number in range(5):
        producer.send(TOPIC, b"%d" % number, f"key-{number}")
    assert producer.flush(DEADLINE_S) == 0
    assert producer.delivered == {TOPIC: 5}
    assert producer.refused == {}


@pytest.mark.parametrize("linger_ms", [5, 60_000])
def test_it_waits_while_the_queue_is_full(embedded_broker: EmbeddedBroker, linger_ms: int) -> None:
    """And lets no message wait for others to come, for which there is no room."""
    gathering = producer_config(settings(embedded_broker), linger_ms=linger_ms)
    config = {**gathering, "queue.buffering.max.messages": 10}
    producer = BufferedProducer(config)
    for number in range(100):
        producer.send(TOPIC, b"%d" % number)
    assert producer.flush(DEADLINE_S) == 0
    assert producer.delivered == {TOPIC: 100}


def test_a_refusal_is_raised_by_the_next_call(embedded_broker: EmbeddedBroker) -> None:
    config = {**producer_config(settings(embedded_broker)), "message.max.bytes": 2_000}
    producer = BufferedProducer(config)
    producer.send(TOPIC, b"x" * 3_000)
    with pytest.raises(DeliveryFailed, match=f"^{TOPIC}: .*too large"):
        producer.send(TOPIC, b"small")
    with pytest.raises(DeliveryFailed):
        producer.flush(DEADLINE_S)


def test_or_it_is_only_counted(embedded_broker: EmbeddedBroker) -> None:
    config = {**producer_config(settings(embedded_broker)), "message.max.bytes": 2_000}
    producer = BufferedProducer(config, raise_refusals=False)
    producer.send(TOPIC, b"x" * 3_000)
    producer.send(TOPIC, b"small")
    assert producer.flush(DEADLINE_S) == 0
    assert producer.delivered == {TOPIC: 1}
    assert producer.refused.total() == 1


def test_without_a_broker_messages_stay_open_until_they_are_given_up() -> None:
    producer = BufferedProducer(NOWHERE, delivery_timeout_s=60.0)
    producer.send(TOPIC, b"x")
    assert producer.flush(0.1) == 1
    with pytest.raises(DeliveryFailed) as caught:
        send_and_wait(NOWHERE, TOPIC, b"x", "key", timeout_s=0.5)
    assert isinstance(caught.value, KafkaException)


def test_one_message_is_written_and_found(embedded_broker: EmbeddedBroker) -> None:
    kafka = settings(embedded_broker)
    places = [
        send_and_wait(producer_config(kafka), TOPIC, value, "key", timeout_s=DEADLINE_S)
        for value in (b"first", b"second")
    ]
    (stored, newest) = read_snapshot(kafka, TOPIC).values["key"]
    assert [(one.partition, one.offset) for one in (stored, newest)] == places
    assert (stored.value, newest.value) == (b"first", b"second")
