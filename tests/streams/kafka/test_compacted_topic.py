"""Compacted topics: their values as of now, and as they go on."""

from __future__ import annotations

import time

import pytest

from tests.waiting import wait_until
from understudy.streams.kafka.client_config import producer_config
from understudy.streams.kafka.compacted_topic import (
    FellBehind,
    TopicFollower,
    key_text,
    read_snapshot,
)
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.producer import send_and_wait
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

TOPIC = "policies"


class Topic:
    def __init__(self, broker: EmbeddedBroker) -> None:
        self.kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            client={"log_level": 0, "fetch.wait.max.ms": 20},
        )

    def write(self, key: str, value: bytes | None) -> None:
        send_and_wait(producer_config(self.kafka), TOPIC, value, key, timeout_s=30.0)

    def values(self, *, newest_only: bool = False) -> dict[str, list[bytes]]:
        snapshot = read_snapshot(self.kafka, TOPIC, newest_only=newest_only)
        assert len(snapshot.ends) == EMBEDDED_PARTITIONS
        return {key: [one.value for one in values] for key, values in snapshot.values.items()}


@pytest.fixture
def topic(embedded_broker: EmbeddedBroker) -> Topic:
    return Topic(embedded_broker)


def test_a_snapshot_holds_what_each_key_was_given_since_it_was_deleted(topic: Topic) -> None:
    for key, value in (
        ("a", b"1"),
        ("b", b"1"),
        ("a", None),
        ("a", b"2"),
        ("a", b"3"),
        ("b", None),
    ):
        topic.write(key, value)
    assert topic.values() == {"a": [b"2", b"3"]}
    assert topic.values(newest_only=True) == {"a": [b"3"]}


def test_a_missing_topic_is_named(topic: Topic) -> None:
    with pytest.raises(MissingTopic, match="no topic nowhere; `understudy topics` creates it"):
        read_snapshot(topic.kafka, "nowhere")
    with pytest.raises(MissingTopic, match="nowhere"):
        TopicFollower(topic.kafka, ["nowhere"])


def test_a_follower_reads_all_from_the_beginning_and_goes_on(topic: Topic) -> None:
    topic.write("a", b"1")
    found: list[tuple[str, bytes | None]] = []
    with TopicFollower(topic.kafka, [TOPIC]) as follower:

        def has_read(count: int) -> bool:
            found.extend((key_text(one), one.value()) for one in follower.take(0.05))
            return len(found) == count and follower.has_caught_up(time.monotonic())

        wait_until(lambda: has_read(1), "the first message")
        topic.write("a", None)
        wait_until(lambda: has_read(2), "the deletion")
    assert found == [("a", b"1"), ("a", None)]


def test_values_leave_deletions_out(topic: Topic) -> None:
    topic.write("a", b"1")
    topic.write("a", None)
    found: list[bytes] = []
    with TopicFollower(topic.kafka, [TOPIC]) as follower:

        def has_caught_up() -> bool:
            found.extend(value for _, value in follower.take_values(0.05))
            return follower.has_caught_up(time.monotonic())

        wait_until(has_caught_up, "the end of the topic")
    assert found == [b"1"]


def test_a_follower_that_does_not_reach_the_ends_in_time_says_so(topic: Topic) -> None:
    topic.write("a", b"1")
    with TopicFollower(topic.kafka, [TOPIC], stale_s=5.0) as follower:
        started_s = time.monotonic()
        assert not follower.has_caught_up(started_s + 4.0)
        with pytest.raises(FellBehind, match="for 5 s"):
            follower.has_caught_up(started_s + 6.0)
