"""How far the pairing group has come, from what it has committed; joins nothing.

The committed offset trails by the horizon on purpose. How far the group has read and stored stands
in the metadata beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.operating.reading import REQUEST_TIMEOUT_S, Range, reader_config
from understudy.streams.pairing.offsets import CommitMetadata
from understudy.streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class GroupPosition:
    """One partition of the events topic, as the group sees it."""

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


def group_positions(
    kafka: KafkaSettings, topic: str, bounds: Mapping[int, Range]
) -> list[GroupPosition]:
    """Positions of the group in these partitions. Raises `KafkaException`."""
    config = {**reader_config(kafka), "group.id": kafka.group_id}
    consumer = Consumer(config, logger=KAFKA_LOGGER)
    try:
        asked = [TopicPartition(topic, number) for number in bounds]
        found = consumer.committed(asked, timeout=REQUEST_TIMEOUT_S) if asked else []
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
