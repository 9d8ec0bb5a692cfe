"""What every Kafka client is told, and what settings may change of it."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer

from understudy.schemas.topics import PARTITIONER
from understudy.streams.kafka.client_config import (
    UNTIL_FLUSH_MS,
    client_config,
    consumer_config,
    group_of,
    producer_config,
    reader_config,
    topic_of,
    topics,
)
from understudy.streams.settings import KafkaSettings

CLIENT = {
    "group.protocol": "classic",
    "session.timeout.ms": 6000,
    "linger.ms": 50,
    "sasl.username": "helpdesk",
    "log_level": 0,
}
KAFKA = KafkaSettings(bootstrap_servers="a:1,b:2", client=CLIENT)


def test_every_client_knows_the_servers_and_what_settings_add() -> None:
    config = client_config(KAFKA)
    assert config["bootstrap.servers"] == "a:1,b:2"
    assert config["sasl.username"] == "helpdesk"


def test_consumers_and_producers_are_told_what_concerns_them() -> None:
    consumer, producer = consumer_config(KAFKA), producer_config(KAFKA)
    assert "linger.ms" not in consumer
    assert consumer["session.timeout.ms"] == 6000
    assert producer["linger.ms"] == 50
    assert not {"session.timeout.ms", "group.protocol", "group.id"} & producer.keys()
    for config in (consumer, producer):
        assert config["sasl.username"] == "helpdesk"


def test_a_consumer_commits_by_hand_from_the_beginning() -> None:
    config = consumer_config(KAFKA)
    assert config["enable.auto.commit"] is False
    assert config["auto.offset.reset"] == "earliest"
    assert config["partition.assignment.strategy"] == "cooperative-sticky"


def test_brokers_that_assign_are_given_no_strategy() -> None:
    kafka = KafkaSettings(client={"group.protocol": "consumer"})
    assert "partition.assignment.strategy" not in consumer_config(kafka)


def test_a_producer_reaches_the_partitions_that_java_clients_reach() -> None:
    assert producer_config(KafkaSettings())["partitioner"] == PARTITIONER == "murmur2_random"
    assert producer_config(KafkaSettings())["enable.idempotence"] is True


def test_a_producer_has_one_request_under_way() -> None:
    """With more, librdkafka reports a message as delivered that a new leader has refused."""
    assert producer_config(KafkaSettings())["max.in.flight.requests.per.connection"] == 1


def test_messages_may_be_gathered_until_they_are_flushed() -> None:
    usual, gathered = (
        producer_config(KafkaSettings(), **chosen) for chosen in ({}, {"linger_ms": UNTIL_FLUSH_MS})
    )
    assert (usual["linger.ms"], gathered["linger.ms"]) == (5, UNTIL_FLUSH_MS)
    assert producer_config(KAFKA, linger_ms=UNTIL_FLUSH_MS)["linger.ms"] == 50, "the user's own"


def test_a_reader_is_in_no_group_and_learns_of_ends() -> None:
    config = reader_config(KAFKA)
    assert config["enable.partition.eof"] is True
    assert not {"session.timeout.ms", "group.protocol", "partition.assignment.strategy"} & set(
        config
    )
    assert config["group.id"] != KAFKA.group_id


def test_each_source_has_a_group_and_a_topic() -> None:
    kafka = KafkaSettings(topic_prefix="eu.", group_id="pairing")
    assert [group_of(kafka, one) for one in ("events", "feedback")] == [
        "pairing", "pairing-feedback",
    ]  # fmt: skip
    assert [topic_of(kafka, one) for one in ("events", "feedback")] == [
        topics(kafka).events.name, topics(kafka).feedback.name,
    ] == ["eu.events", "eu.feedback"]  # fmt: skip


def test_librdkafka_takes_them_all() -> None:
    quiet = KafkaSettings(
        bootstrap_servers="", client={"log_level": 0, "message.max.bytes": 10_000_000}
    )
    for config in (consumer_config(quiet), reader_config(quiet)):
        Consumer(config).close()
    Producer(producer_config(quiet))
