"""What the broker does not let this user do: the operation, and the topic or group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from understudy.streams.kafka.access_rights import Right

NOT_ALLOWED: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


class AccessDenied(KafkaException):
    """This user lacks rights; an administrator of Kafka grants them."""

    def __init__(self, rights: tuple[Right, ...], error: KafkaError) -> None:
        super().__init__(error)
        self.rights = rights

    def __str__(self) -> str:
        return f"not allowed: {', '.join(map(str, self.rights))}"


def failure_of(error: KafkaError, *needed: Right) -> KafkaException:
    """Return the exception for an error of something that needs these rights.

    The error says whether a topic's right is missing or a group's. The broker refuses to number
    the messages of a producer that may write nothing, as a matter of the cluster.
    """
    if error.code() not in NOT_ALLOWED:
        return KafkaException(error)
    is_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    lacking = tuple(right for right in needed if (right.resource == "group") == is_group)
    return AccessDenied(lacking or needed, error)


@contextmanager
def needing(*needed: Right) -> Iterator[None]:
    """Turn an error of something that needs these rights into one that names them."""
    try:
        yield
    except AccessDenied:
        raise
    except KafkaException as error:
        found = failure_of(error.args[0], *needed)
        if isinstance(found, AccessDenied):
            raise found from None
        raise
