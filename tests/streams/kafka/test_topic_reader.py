"""Ranges of a topic are read once and to their end."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException, Producer

from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.offsets import has_record_at, request_ends
from understudy.streams.kafka.topic_reader import MissingTopic, Range, TopicReader
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

TOPIC = "notes"
TIMEOUT_S = 30.0


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> KafkaSettings:
    """A broker with three messages in partition 0, one in partition 1."""
    producer = Producer(embedded_broker.client_config)
    for partition, value in ((0, b"a"), (0, b"b"), (1, b"x"), (0, b"c")):
        producer.produce(TOPIC, value, partition=partition, timestamp=1_000 * ord(value))
    assert producer.flush(TIMEOUT_S) == 0
    return KafkaSettings(
        bootstrap_servers=embedded_broker.bootstrap_servers, client={"log_level": 0}
    )


def values(kafka: KafkaSettings, ranges: dict[int, Range]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    with TopicReader(kafka, TOPIC) as reader:
        for message in reader.read(ranges):
            found.setdefault(message.partition() or 0, []).append(message.value() or b"")
    return found


def test_bounds_are_what_each_partition_holds(kafka: KafkaSettings) -> None:
    with TopicReader(kafka, TOPIC) as reader:
        bounds = reader.bounds()
    assert bounds == {0: (0, 3), 1: (0, 1)} | dict.fromkeys(range(2, EMBEDDED_PARTITIONS), (0, 0))


def test_ranges_are_read_in_order_and_no_further(kafka: KafkaSettings) -> None:
    assert values(kafka, {0: (0, 3), 1: (0, 1), 2: (0, 0)}) == {0: [b"a", b"b", b"c"], 1: [b"x"]}
    assert values(kafka, {0: (1, 2)}) == {0: [b"b"]}
    assert values(kafka, {}) == {}


def test_where_a_partition_ends_reading_ends_whatever_the_range_says(kafka: KafkaSettings) -> None:
    assert values(kafka, {0: (2, 99)}) == {0: [b"c"]}


def test_a_topic_that_is_missing_says_how_to_make_it(kafka: KafkaSettings) -> None:
    with TopicReader(kafka, "absent") as reader, pytest.raises(MissingTopic, match="absent"):
        reader.bounds()


def test_a_broker_that_is_away_is_an_error_in_time() -> None:
    nowhere = KafkaSettings(bootstrap_servers="127.0.0.1:1", client={"log_level": 0})
    with TopicReader(nowhere, TOPIC, timeout_s=0.5) as reader, pytest.raises(KafkaException):
        reader.bounds()


def test_whether_there_is_a_record_to_read(kafka: KafkaSettings) -> None:
    assert has_record_at(kafka, (TOPIC, 0), 2, TIMEOUT_S) is True
    assert has_record_at(kafka, (TOPIC, 0), 3, TIMEOUT_S) is False
    nowhere = KafkaSettings(bootstrap_servers="127.0.0.1:1", client={"log_level": 0})
    assert has_record_at(nowhere, (TOPIC, 0), 0, 0.5) is None


def test_of_no_partitions_there_are_no_ends(embedded_broker: EmbeddedBroker) -> None:
    from confluent_kafka.admin import AdminClient

    assert request_ends(AdminClient(embedded_broker.client_config), [], TIMEOUT_S) == {}
