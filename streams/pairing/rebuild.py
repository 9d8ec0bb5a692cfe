"""Having a source's windows made again from the log, as far as the log still goes back.

Only the group's offsets change; the workers that start next do the work. Windows that may lack
records are left out, unless they are wanted: then they are made from what is left of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from understudy.schemas.windows import Source
from understudy.streams.kafka.client_config import (
    client_config,
    group_of,
    reader_config,
    topic_of,
)
from understudy.streams.kafka.topic_reader import REQUEST_TIMEOUT_S, TopicReader
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import KafkaSettings

_EVERY_WINDOW_MS: Final = 0
"""In commit metadata: windows are complete from 1970 on, so that all are written."""


class GroupInUse(Exception):
    """Workers are members of the group, and would go on from where they are."""


@dataclass(frozen=True, slots=True)
class PartitionRebuild:
    """What is read again of one partition."""

    partition: int
    first: int
    end: int
    written_from_ms: int | None
    """Windows that start before are left alone; None where the log has all of its records."""


def plan_rebuild(
    kafka: KafkaSettings, source: Source, policy: PairingPolicy
) -> list[PartitionRebuild]:
    """Return what a rebuild would do to each partition that holds records.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """
    with TopicReader(kafka, topic_of(kafka, source)) as reader:
        bounds = {n: (low, high) for n, (low, high) in reader.bounds().items() if low < high}
        oldest = {n: next(reader.read({n: bounds[n]}), None) for n in bounds if bounds[n][0] > 0}
    return [
        PartitionRebuild(n, low, high, _written_from(oldest[n], policy) if n in oldest else None)
        for n, (low, high) in bounds.items()
    ]


def _written_from(oldest: Message | None, policy: PairingPolicy) -> int:
    """From when on windows are whole; where nothing can be read, from now on."""
    now_ms = int(time.time() * 1000)
    return policy.complete_from_ms(now_ms if oldest is None else oldest.timestamp()[1])


def start_rebuild(
    kafka: KafkaSettings, source: Source, plan: Sequence[PartitionRebuild], *, incomplete: bool
) -> None:
    """Commit where the workers begin. Raises `GroupInUse` and `KafkaException`."""
    group, topic = group_of(kafka, source), topic_of(kafka, source)
    if _has_members(kafka, group):
        raise GroupInUse(group)
    consumer = Consumer({**reader_config(kafka), "group.id": group}, logger=KAFKA_LOGGER)
    try:
        done = consumer.commit(
            offsets=[_commit(topic, one, incomplete=incomplete) for one in plan],
            asynchronous=False,
        )
    finally:
        consumer.close()
    for place in done or ():
        if place.error is not None:
            raise KafkaException(place.error)


def _has_members(kafka: KafkaSettings, group: str) -> bool:
    admin = AdminClient(client_config(kafka), logger=KAFKA_LOGGER)
    described = admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)
    return bool(described[group].result().members)


def _commit(topic: str, one: PartitionRebuild, *, incomplete: bool) -> TopicPartition:
    """Without metadata a worker finds out for itself which windows are complete."""
    if not incomplete:
        return TopicPartition(topic, one.partition, one.first)
    metadata = CommitMetadata(
        closed_until_ms=None,
        position=one.first,
        watermark_ms=None,
        complete_from_ms=_EVERY_WINDOW_MS,
    )
    return TopicPartition(topic, one.partition, one.first, metadata=metadata.encode())
