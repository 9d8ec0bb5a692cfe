"""Where partitions end, and whether anything can be read there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from understudy.streams.kafka.client_config import reader_config
from understudy.streams.settings import KafkaSettings

UNREADABLE: Final = (
    KafkaError._BAD_COMPRESSION,
    KafkaError._BAD_MSG,
    KafkaError._NOT_IMPLEMENTED,
)
"""What a reader gets for a batch that it cannot unpack: it would become too large, is damaged, or
is packed in a way that this client does not know."""

PartitionId = tuple[str, int]
"""Topic and number."""


def request_ends(
    admin: AdminClient, partitions: Iterable[PartitionId], timeout_s: float
) -> dict[PartitionId, Future[Any]]:
    """Ask where partitions end, without waiting; each answer has an `offset`."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(*partition): latest for partition in partitions}
    if not asked:
        return {}
    found = admin.list_offsets(asked, request_timeout=timeout_s)
    return {(one.topic, one.partition): answer for one, answer in found.items()}


def has_record_at(
    kafka: KafkaSettings, partition: PartitionId, offset: int, timeout_s: float
) -> bool | None:
    """Whether there is a record from an offset on; None when the broker does not answer.

    The last offsets of a log may be transaction markers, which no reader ever gets. A batch that
    cannot be unpacked counts as records: who stands before it does not move.
    """
    reader = Consumer({**reader_config(kafka), "log_level": 0})
    try:
        reader.assign([TopicPartition(*partition, offset)])
        message = _first(reader, timeout_s)
    finally:
        reader.close()
    error = message.error() if message is not None else None
    if message is None:
        return None
    if error is None or error.code() in UNREADABLE:
        return True
    return False if error.code() == KafkaError._PARTITION_EOF else None


def _first(reader: Consumer, timeout_s: float) -> Message | None:
    """Return the first message or error, but for that of the group, which is not used."""
    deadline = time.monotonic() + timeout_s
    while True:
        message = reader.poll(max(0.0, deadline - time.monotonic()))
        error = message.error() if message is not None else None
        if error is None or error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
            return message
