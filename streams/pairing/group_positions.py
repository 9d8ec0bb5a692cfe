"""How far the groups of pairing have come, from what they have committed; joins nothing.

The committed offset trails by the horizon on purpose. How far a group has read and stored stands
in the metadata beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from confluent_kafka import TopicPartition

from understudy.schemas.windows import Source
from understudy.streams.kafka.client_config import group_of, topic_of
from understudy.streams.kafka.offsets import has_record_at
from understudy.streams.kafka.topic_reader import REQUEST_TIMEOUT_S, TopicReader
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

    is_read: bool = False
    """All records are read: from the position on there are only marks of transactions."""

    @property
    def position(self) -> int:
        """Up to where the group has read and stored everything; the log's start before it began."""
        if self.metadata is not None:
            return self.metadata.position
        return self.first if self.committed is None else self.committed

    @property
    def gaps(self) -> int:
        """Offsets before the position that hold no record."""
        return self.metadata.gaps if self.metadata is not None else 0

    @property
    def lag(self) -> int:
        """Records that are not read and stored yet, with the marks of transactions among them."""
        return 0 if self.is_read else max(0, self.end - max(self.position, self.first))


def positions_of(kafka: KafkaSettings, source: Source) -> list[GroupPosition]:
    """Return where a source's group is in each partition of its topic.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """
    topic = topic_of(kafka, source)
    with TopicReader(kafka, topic, group_id=group_of(kafka, source)) as reader:
        bounds = reader.bounds()
        found = [_position(one, *bounds[one.partition]) for one in reader.committed(bounds)]
    return [_without_marks(kafka, topic, one) for one in found]


def _without_marks(kafka: KafkaSettings, topic: str, one: GroupPosition) -> GroupPosition:
    """Note where all records are read and the last offsets hold none."""
    if not one.lag or one.committed is None:
        return one
    left = has_record_at(kafka, (topic, one.partition), one.position, REQUEST_TIMEOUT_S)
    return replace(one, is_read=left is False)


def _position(committed: TopicPartition, first: int, end: int) -> GroupPosition:
    offset = committed.offset if committed.offset >= 0 else None
    try:
        metadata = CommitMetadata.decode(committed.metadata)
    except ValueError:
        return GroupPosition(committed.partition, first, end, offset, None, newer_release=True)
    return GroupPosition(committed.partition, first, end, offset, metadata)
