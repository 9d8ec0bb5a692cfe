"""The audit on a mock cluster: what is written is read, and nothing is in the way of a change."""

from __future__ import annotations

import pytest
import structlog

from tests.streams.rollouts.records import Kafka
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.rollouts import audit as audit_module
from understudy.streams.rollouts.audit import MAX_FORWARDED_FOR, Actor, Audit
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

ANNA = Actor(by="anna", via="http", address="10.0.0.5")


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


def test_the_newest_come_first_of_one_rollout_or_all(kafka: Kafka) -> None:
    audit = Audit(kafka.settings)
    records = [ANNA.record(name, "kill", reason=name) for name in ("a", "b", "a", "c")]
    for one in records:
        audit.write(one)
    assert audit.read(None, 10) == records[::-1]
    assert audit.read(None, 2) == records[:1:-1]
    assert audit.read("a", 10) == [records[2], records[0]]


def test_what_is_no_record_is_passed_over(kafka: Kafka) -> None:
    record = ANNA.record("a", "delete")
    kafka.write("understudy.audit", ("a", b"no record"), ("a", None))
    Audit(kafka.settings).write(record)
    with structlog.testing.capture_logs() as logs:
        assert Audit(kafka.settings).read(None, 10) == [record]
    assert [one["event"] for one in logs].count("audit.record_unreadable") == 2


def test_a_change_that_was_made_is_logged_where_kafka_takes_no_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_module, "WRITE_TIMEOUT_S", 0.2)
    nowhere = Audit(KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    with structlog.testing.capture_logs() as logs:
        nowhere.write(ANNA.record("a", "kill", reason="tone"))
    (one,) = logs
    assert (one["event"], one["log_level"]) == ("audit.write_failed", "error")
    assert (one["rollout_id"], one["action"], one["by"], one["reason"]) == (
        "a", "kill", "anna", "tone",
    )  # fmt: skip


def test_without_the_topic(embedded_broker: EmbeddedBroker) -> None:
    audit = Audit(KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers))
    with pytest.raises(MissingTopic, match=r"understudy\.audit; `understudy topics`"):
        audit.read(None, 10)


def test_a_header_that_anybody_may_write_has_an_end() -> None:
    record = Actor(by="anna", forwarded_for="x" * 10_000).record("a", "kill")
    assert len(record.forwarded_for) == MAX_FORWARDED_FOR
