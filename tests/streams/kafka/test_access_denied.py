"""An error of authorization names the right that is missing; any other stays what it is."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from understudy.streams.kafka.access_denied import AccessDenied, failure_of, needing
from understudy.streams.kafka.access_rights import Right

READ_TOPIC = Right("topic", "understudy.events", "Read")
READ_GROUP = Right("group", "understudy-pairing", "Read")


@pytest.mark.parametrize(
    ("code", "rights"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, (READ_TOPIC,)),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, (READ_GROUP,)),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, (READ_TOPIC,)),
    ],
)
def test_the_error_tells_topic_from_group(code: int, rights: tuple[Right, ...]) -> None:
    found = failure_of(KafkaError(code), READ_TOPIC, READ_GROUP)
    assert isinstance(found, AccessDenied)
    assert found.rights == rights
    assert str(found) == f"not allowed: {rights[0]}"


def test_other_errors_stay_what_they_are() -> None:
    found = failure_of(KafkaError(KafkaError._TRANSPORT), READ_TOPIC)
    assert type(found) is KafkaException
    with pytest.raises(KafkaException) as caught, needing(READ_TOPIC):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))
    assert type(caught.value) is KafkaException


def test_what_needs_a_right_says_so_when_it_is_refused() -> None:
    with (
        pytest.raises(AccessDenied, match=r"Read on topic understudy\.events"),
        needing(READ_TOPIC),
    ):
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    inner = AccessDenied((READ_GROUP,), KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(AccessDenied) as caught, needing(READ_TOPIC):
        raise inner
    assert caught.value is inner
