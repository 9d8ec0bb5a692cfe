"""Dead letters read from their topic, up to what it holds now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Message

from understudy.streams.dead_letters.selection import (
    Letter,
    Place,
    Selection,
    letter_from,
    once_each,
)
from understudy.streams.errors import CommandError
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import Settings


def read_letters(settings: Settings, selection: Selection) -> Iterator[Letter]:
    """Letters of a selection, each once, up to what the topic holds now."""
    name = topics(settings.kafka).dead_letters.name
    with TopicReader(settings.kafka, name) as reader:
        ranges = reader.bounds()
        if not ranges:
            raise CommandError(f"there is no topic {name}; `understudy topics` creates it")
        if selection.since_ms is not None:
            ranges = reader.since(selection.since_ms, ranges)
        letters = once_each(_letter(message, name) for message in reader.read(ranges))
        yield from (letter for letter in letters if letter in selection)


def _letter(message: Message, topic: str) -> Letter:
    given: Any = message.headers() or []
    headers = {name: value for name, value in given if isinstance(value, bytes)}
    own = Place(topic, message.partition() or 0, message.offset() or 0)
    return letter_from(headers, own, message.timestamp()[1], message.key(), message.value())
