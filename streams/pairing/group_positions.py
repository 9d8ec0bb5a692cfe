"""How far the groups of pairing have come, from what they have committed; joins nothing.

The committed offset trails by the horizon on purpose. How far a group has read and stored stands
in the metadata beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from understudy.schemas.windows import Source
from understudy.streams.kafka.client_config import group_of, reader_config, topic_of
from understudy.streams.kafka.topic_reader import REQUEST_TIMEOUT_S, Range, TopicReader
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """One partition of a source's topic, as the group sees it."""

    partition: int
    first: int
    """The oldest offset that the log still holds."""
    end: int
    committed: int | None
    """None when the group has committed nothing."""
    metadata: CommitMetadata | None
    newer_release: bool = False
    """The metadata were written by a release that this one does not understand."""

    @property
    def position(self) -> int:
        """Up to where the group has read and stored everything; the log's start before it began."""
        if self.metadata is not None:
            return self.metadata.position
        return self.first if self.committed is None else self.committed

    @property
    def lag(self) -> int:
        """Records that are not read and stored yet."""
        return max(0, self.end - max(self.position, self.first))


def positions_of(kafka: KafkaSettings, source: Source) -> list[GroupPosition]:
    """Return where a source's group is in each partition of its topic.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """
    with TopicReader(kafka, topic_of(kafka, source)) as reader:
        bounds = reader.bounds()
    return _group_positions(kafka, source, bounds)


def _group_positions(
    kafka: KafkaSettings, source: Source, bounds: Mapping[int, Range]
) -> list[GroupPosition]:
    config = {**reader_config(kafka), "group.id": group_of(kafka, source)}
    topic = topic_of(kafka, source)
    consumer = Consumer(config, logger=KAFKA_LOGGER)
    try:
        asked = [TopicPartition(topic, number) for number in bounds]
        found = consumer.committed(asked, timeout=REQUEST_TIMEOUT_S)
    finally:
        consumer.close()
    return [_position(one, *bounds[one.partition]) for one in found]


def _position(committed: TopicPartition, first: int, end: int) -> GroupPosition:
    offset = committed.offset if committed.offset >= 0 else None
    try:
        metadata = CommitMetadata.decode(committed.metadata)
    except ValueError:
        return GroupPosition(committed.partition, first, end, offset, None, newer_release=True)
    return GroupPosition(committed.partition, first, end, offset, metadata)
