"""Reads the dead-letter topic, up to what it holds now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Message

from understudy.streams.dead_letters.dead_letter_record import (
    DeadLetterRecord,
    RecordPosition,
    dead_letter_record,
)
from understudy.streams.dead_letters.selection import Selection, once_each
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import Settings


def read_dead_letters(settings: Settings, selection: Selection) -> Iterator[DeadLetterRecord]:
    """The selected dead letters, one for each source record, up to what the topic holds now.

    Raises `MissingTopic`.
    """
    name = topics(settings.kafka).dead_letters.name
    with TopicReader(settings.kafka, name) as reader:
        ranges = reader.bounds()
        if selection.since_ms is not None:
            ranges = reader.since(selection.since_ms, ranges)
        records = once_each(_record(message, name) for message in reader.read(ranges))
        yield from (record for record in records if record in selection)


def _record(message: Message, topic: str) -> DeadLetterRecord:
    given: Any = message.headers() or []
    headers = {name: value for name, value in given if isinstance(value, bytes)}
    own = RecordPosition(topic, message.partition() or 0, message.offset() or 0)
    return dead_letter_record(headers, own, message.timestamp()[1], message.key(), message.value())
