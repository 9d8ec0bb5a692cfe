"""Asks the broker which of the rights that are needed this user does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.access_denied import NOT_ALLOWED, AccessDenied
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata
from understudy.streams.kafka.topic_admin import is_embedded
from understudy.streams.logs import KAFKA_LOGGER

_IMPLIED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "Describe": ("DESCRIBE", "READ", "WRITE", "ALTER", "DELETE"),
    "DescribeConfigs": ("DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
}
"""The operations that each imply one in Kafka's authorizer; any other only implies itself."""
_IMPLYING_DESCRIBE: Final = ("Describe", "Read", "Write")


def require_rights(config: Mapping[str, Any], needed: Iterable[Right], timeout_s: float) -> None:
    """Raise `AccessDenied` with all that is missing, before anything fails for one of them."""
    missing = missing_rights(config, needed, timeout_s)
    if missing:
        error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        raise AccessDenied(missing, error)


def missing_rights(
    config: Mapping[str, Any], needed: Iterable[Right], timeout_s: float
) -> tuple[Right, ...]:
    """Return the rights that this user certainly lacks. Raises `KafkaException`.

    What a broker does not tell, such as about a topic or group that does not exist yet, is not
    missing. The right to create is never told.
    """
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening(config), logger=KAFKA_LOGGER)
    if is_embedded(cluster_metadata(admin, errors, timeout_s)):
        return ()
    asked = [right for right in needed if right.operation != "Create"]
    granted = _granted(admin, asked, timeout_s)
    return tuple(right for right in asked if _is_missing(right, granted))


Granted = Mapping[tuple[str, str], frozenset[str] | None]
"""Operations by resource and name; None where the broker does not tell."""


def _granted(admin: AdminClient, asked: list[Right], timeout_s: float) -> Granted:
    topics = sorted({right.name for right in asked if right.resource == "topic"})
    groups = sorted({right.name for right in asked if right.resource == "group"})
    answers: list[tuple[str, Mapping[str, Future[Any]]]] = []
    if topics:
        described = admin.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=timeout_s
        )
        answers.append(("topic", described))
    if groups:
        found = admin.describe_consumer_groups(
            groups, include_authorized_operations=True, request_timeout=timeout_s
        )
        answers.append(("group", found))
    return dict(_operations(answers))


def _operations(
    answers: Iterable[tuple[str, Mapping[str, Future[Any]]]],
) -> Iterator[tuple[tuple[str, str], frozenset[str] | None]]:
    for resource, described in answers:
        for name, answer in described.items():
            try:
                operations = answer.result().authorized_operations or ()
            except KafkaException as error:
                hidden = error.args[0].code() in NOT_ALLOWED
                yield (resource, name), frozenset() if hidden else None
            else:
                yield (resource, name), frozenset(one.name for one in operations) or None


def _is_missing(right: Right, granted: Granted) -> bool:
    operations = granted[right.resource, right.name]
    if operations is None:
        return False
    if not operations:  # may not even be described, so that the broker says no more
        return right.operation in _IMPLYING_DESCRIBE
    implying = _IMPLIED_BY.get(right.operation, (right.operation.upper(),))
    return operations.isdisjoint(implying)
