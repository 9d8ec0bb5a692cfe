"""Which rights are missing, by what a broker answers; with a real one in test_security.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from understudy.streams.kafka import granted_rights
from understudy.streams.kafka.access_denied import AccessDenied
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.granted_rights import missing_rights, require_rights

READ = Right("topic", "t", "Read")
DESCRIBE = Right("topic", "t", "Describe")
GROUP = Right("group", "g", "Read")
CREATE = Right("topic", "t", "Create")


class Admin:
    """An admin client of a broker that answers with these operations, or these errors."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Any]:
        return {"t": self}

    def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Any]:
        return {"g": self}

    def result(self) -> Any:
        answer = self._answers["all"]
        if isinstance(answer, int):
            raise KafkaException(KafkaError(answer))
        return SimpleNamespace(authorized_operations=answer)


def missing(monkeypatch: pytest.MonkeyPatch, answer: Any, *needed: Right) -> tuple[Right, ...]:
    monkeypatch.setattr(granted_rights, "AdminClient", lambda *_, **__: Admin({"all": answer}))
    cluster = SimpleNamespace(cluster_id="real")
    monkeypatch.setattr(granted_rights, "cluster_metadata", lambda *_: cluster)
    return missing_rights({}, needed, 1.0)


def test_what_is_not_among_the_operations_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(monkeypatch, [AclOperation.DESCRIBE], READ, DESCRIBE, GROUP) == (READ, GROUP)


def test_reading_implies_describing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(monkeypatch, [AclOperation.READ], READ, DESCRIBE) == ()


def test_what_may_not_be_described_may_not_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert missing(monkeypatch, hidden, READ, DESCRIBE) == (READ, DESCRIBE)


@pytest.mark.parametrize("answer", [None, [], KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_what_a_broker_does_not_say_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    assert missing(monkeypatch, answer, READ, GROUP) == ()


def test_the_right_to_create_is_never_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(monkeypatch, [AclOperation.READ], CREATE) == ()


def test_all_that_is_missing_is_raised_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granted_rights, "missing_rights", lambda *_: (READ, GROUP))
    with pytest.raises(AccessDenied, match="Read on topic t, Read on group g"):
        require_rights({}, [], 1.0)


@pytest.mark.embedded
def test_the_embedded_broker_has_no_rights(embedded_broker: EmbeddedBroker) -> None:
    assert missing_rights(embedded_broker.client_config, [READ, GROUP], 10.0) == ()
