"""Topics are created as specified, and differences are told, on a real broker and the mock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from tests.brokers.contract import Broker
from understudy.schemas.topics import Topics, TopicSpec, understudy_topics
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.topic_admin import TopicDifference, ensure_topics

MakeTopics = Callable[..., Topics]
IN_1970_MS = 1000


def client(broker: Broker | EmbeddedBroker) -> dict[str, Any]:
    return {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}


def consume(config: dict[str, Any], topic: str, count: int) -> list[Message]:
    """The first `count` messages, read by a new consumer group; fails after 20 s."""
    consumer = Consumer(config | {"group.id": uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    messages: list[Message] = []
    for _ in range(200):
        messages += consumer.consume(count - len(messages), timeout=0.1)
        if len(messages) == count:
            break
    consumer.close()
    assert len(messages) == count
    return messages


def produce(config: dict[str, Any], topic: str, values: list[bytes]) -> None:
    producer = Producer(config)
    for value in values:
        producer.produce(topic, value, key=value, timestamp=IN_1970_MS)
    assert producer.flush(20) == 0


def test_topics_that_are_read_together_have_the_same_partitions() -> None:
    specs = understudy_topics(event_partitions=6, rollout_partitions=2)
    keyed_by_pair = (specs.events, specs.feedback, specs.evaluations)
    assert [spec.partitions for spec in keyed_by_pair] == [6, 6, 6]
    rollout_topics = (specs.windows, specs.rollouts, specs.decisions)
    assert [spec.partitions for spec in rollout_topics] == [2, 2, 2]


def test_topics_take_the_prefix_and_differ() -> None:
    names = [spec.name for spec in understudy_topics("team-a.")]
    assert names == [
        "team-a.events",
        "team-a.feedback",
        "team-a.evaluations",
        "team-a.windows",
        "team-a.dead-letters",
        "team-a.rollouts",
        "team-a.decisions",
        "team-a.audit",
    ]


@pytest.mark.integration
def test_real_broker_has_every_topic_as_specified(kafka_broker: Broker, topics: MakeTopics) -> None:
    specs = topics(event_partitions=5, rollout_partitions=2)
    admin = AdminClient(client(kafka_broker))
    known = admin.list_topics(timeout=10).topics
    for spec in specs:
        assert len(known[spec.name].partitions) == spec.partitions
        assert actual_config(admin, spec).items() >= spec.config.items()


def actual_config(admin: AdminClient, spec: TopicSpec) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, spec.name)
    entries = admin.describe_configs([resource])[resource].result(10)
    return {name: str(entry.value) for name, entry in entries.items()}


@pytest.mark.integration
def test_real_broker_second_call_creates_nothing(kafka_broker: Broker, topics: MakeTopics) -> None:
    specs = topics()
    report = ensure_topics(client(kafka_broker), specs)
    assert report.created == ()
    assert report.existing == tuple(spec.name for spec in specs)
    assert report.differences == ()


@pytest.mark.integration
def test_real_broker_differences_are_reported_and_left(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    events = topics(event_partitions=2).events
    wanted = replace(events, partitions=7, retention_ms=60_000)
    expected = (
        TopicDifference(events.name, "partitions", "7", "2"),
        TopicDifference(events.name, "retention.ms", "60000", str(events.retention_ms)),
    )
    assert ensure_topics(client(kafka_broker), [wanted], compare=True).differences == expected
    assert ensure_topics(client(kafka_broker), [events], compare=True).differences == ()


@pytest.mark.integration
def test_real_broker_refusal_is_raised(kafka_broker: Broker) -> None:
    nameless = replace(understudy_topics().events, name="not a topic name")
    with pytest.raises(KafkaException):
        ensure_topics(client(kafka_broker), [nameless])


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_real_broker_round_trip(kafka_broker: Broker, topics: MakeTopics, protocol: str) -> None:
    name = topics().events.name
    values = [b"%d" % number for number in range(100)]
    produce(client(kafka_broker), name, values)
    messages = consume(client(kafka_broker) | {"group.protocol": protocol}, name, 100)
    assert sorted(int(message.value() or b"") for message in messages) == list(range(100))


@pytest.mark.integration
def test_real_broker_stamps_events_itself(kafka_broker: Broker, topics: MakeTopics) -> None:
    name = topics().events.name
    produce(client(kafka_broker), name, [b"from 1970"])
    kind, stamp_ms = consume(client(kafka_broker), name, 1)[0].timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert stamp_ms > IN_1970_MS


@pytest.mark.embedded
def test_mock_broker_has_every_topic(embedded_broker: EmbeddedBroker) -> None:
    specs = understudy_topics()
    report = ensure_topics(embedded_broker.client_config, specs)
    assert report.created == tuple(spec.name for spec in specs)
    known = AdminClient(client(embedded_broker)).list_topics(timeout=5).topics
    assert all(len(known[spec.name].partitions) == EMBEDDED_PARTITIONS for spec in specs)


@pytest.mark.embedded
def test_mock_broker_second_call_creates_nothing(embedded_broker: EmbeddedBroker) -> None:
    specs = understudy_topics()
    ensure_topics(embedded_broker.client_config, specs)
    report = ensure_topics(embedded_broker.client_config, specs)
    assert report.created == ()
    assert len(report.existing) == len(list(specs))


@pytest.mark.embedded
def test_mock_broker_tells_what_it_cannot_do(embedded_broker: EmbeddedBroker) -> None:
    events = understudy_topics(event_partitions=12).events
    assert ensure_topics(embedded_broker.client_config, [events]).differences == (
        TopicDifference(events.name, "partitions", "12", str(EMBEDDED_PARTITIONS)),
        TopicDifference(events.name, "message.timestamp.type", "LogAppendTime", "CreateTime"),
    )


@pytest.mark.embedded
def test_mock_broker_keeps_the_producers_timestamp(embedded_broker: EmbeddedBroker) -> None:
    config = embedded_broker.client_config | {"group.protocol": "consumer"}
    name = understudy_topics().events.name
    ensure_topics(config, understudy_topics())
    produce(embedded_broker.client_config, name, [b"from 1970"])
    assert consume(config, name, 1)[0].timestamp() == (TIMESTAMP_CREATE_TIME, IN_1970_MS)


def test_broker_that_does_not_answer_is_an_error() -> None:
    nowhere = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    with pytest.raises(KafkaException):
        ensure_topics(nowhere, understudy_topics(), timeout_s=0.5)
