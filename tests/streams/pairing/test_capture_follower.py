"""Policies are known before pairing begins, and followed after."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaException
from structlog.testing import capture_logs

from tests.waiting import wait_until
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.producer import send_and_wait
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.pairing import capture_follower
from understudy.streams.pairing.capture_choices import CaptureChoices
from understudy.streams.pairing.capture_follower import following_captures
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded


def record(rollout_id: str, capture: str) -> bytes:
    text = f"rollout_id: {rollout_id}\nmodels: {{stable: a, candidate: b}}\ncapture: {capture}\n"
    return encode_rollout_record(RolloutRecord(manifest=read_manifest(text)))


class Topic:
    def __init__(self, broker: EmbeddedBroker) -> None:
        self.kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            client={"log_level": 0, "fetch.wait.max.ms": 20},
        )
        self.name = topics(self.kafka).rollouts.name

    def make(self) -> None:
        ensure_topics(dict(producer_config(self.kafka)), topics(self.kafka))

    def write(self, rollout_id: str, value: bytes | None) -> None:
        send_and_wait(producer_config(self.kafka), self.name, value, rollout_id, timeout_s=30.0)


@pytest.fixture
def topic(embedded_broker: EmbeddedBroker) -> Topic:
    made = Topic(embedded_broker)
    made.make()
    return made


def test_all_policies_are_known_when_the_context_begins(topic: Topic) -> None:
    for name, capture in (("a", "worst"), ("b", "none"), ("c", "all"), ("a", "sample")):
        topic.write(name, record(name, capture))
    choices = CaptureChoices()
    with following_captures(topic.kafka, choices):
        found = {name: one.capture for name, one in choices.by_rollout.items()}
        assert found == {"a": "sample", "c": "all"}


def test_changes_and_deletions_are_followed(topic: Topic) -> None:
    choices = CaptureChoices()
    with following_captures(topic.kafka, choices):
        assert not choices.by_rollout
        topic.write("a", record("a", "worst"))
        wait_until(lambda: "a" in choices.by_rollout, "the new policy is known")
        topic.write("a", None)
        wait_until(lambda: not choices.by_rollout, "the deletion is known")


def test_what_cannot_be_read_captures_nothing(topic: Topic) -> None:
    topic.write("a", record("a", "worst"))
    topic.write("a", record("a", "worst").replace(b'"worst"', b'"everything"'))
    topic.write("b", b"{")
    choices = CaptureChoices()
    with capture_logs() as logs, following_captures(topic.kafka, choices):
        assert not choices.by_rollout
    events = [one["event"] for one in logs]
    assert events.count("captures.policy_unreadable") == 2


def test_topic_that_comes_later_is_read_then(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_follower, "_RETRY_S", 0.1)
    topic = Topic(embedded_broker)
    choices = CaptureChoices()
    with capture_logs() as logs, following_captures(topic.kafka, choices):
        assert "captures.policies_unread" in [one["event"] for one in logs]
        topic.make()
        topic.write("a", record("a", "worst"))
        wait_until(lambda: "a" in choices.by_rollout, "the policy is known")


class Message:
    def __init__(self, value: bytes) -> None:
        self.key, self.value = lambda: b"a", lambda: value


def test_policy_that_was_replaced_never_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error the topic is read from its beginning, where the old policy still stands."""
    monkeypatch.setattr(capture_follower, "_RETRY_S", 0.01)
    choices, seen = CaptureChoices(), []
    old, new = record("a", "worst"), record("a", "none")
    script: list[bytes | None] = [old, new, None, old, new]  # None: the broker fails

    class Follower:
        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> Follower:
            return self

        def __exit__(self, *_: object) -> None: ...

        def take(self, wait_s: float) -> list[Message]:
            seen.append(dict(choices.by_rollout))
            if not script:
                time.sleep(0.01)
                return []
            value = script.pop(0)
            if value is None:
                raise KafkaException("gone")
            return [Message(value)]

        def has_caught_up(self, now_s: float) -> bool:
            return not script or script[0] is None

    monkeypatch.setattr(capture_follower, "TopicFollower", Follower)
    with following_captures(KafkaSettings(), choices):
        wait_until(lambda: len(seen) > 6, "all was read again")
    assert not any(seen)
