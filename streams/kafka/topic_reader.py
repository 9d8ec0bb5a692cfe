"""Reads parts of a topic once, outside any group: nothing is joined, moved or committed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.streams.kafka.client_config import consumer_config
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings

READER_GROUP: Final = "understudy-reader"
"""librdkafka wants a name; the group never comes into being."""
REQUEST_TIMEOUT_S: Final = 15.0
SILENCE_S: Final = 30.0
_BATCH: Final = 1000
_POLL_S: Final = 0.2
_ELECTING: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_OF_MEMBERS: Final = ("group.", "session.", "heartbeat.", "partition.assignment.")

Range = tuple[int, int]
"""First offset, and the one after the last."""


class TopicReader:
    """Reads one topic; a context manager. Raises `KafkaException` when the broker is away."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(reader_config(kafka), logger=KAFKA_LOGGER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def bounds(self) -> dict[int, Range]:
        """What each partition holds now. Empty when there is no such topic."""
        metadata = self._consumer.list_topics(timeout=REQUEST_TIMEOUT_S)
        found = metadata.topics.get(self._topic)
        return {
            number: self._bounds_of(number) for number in sorted(found.partitions if found else ())
        }

    def _bounds_of(self, number: int) -> Range:
        """What one partition holds; waits while it changes its leader."""
        here = TopicPartition(self._topic, number)
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(here, timeout=REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return low, high

    def since(self, time_ms: int, bounds: Mapping[int, Range]) -> dict[int, Range]:
        """The parts of these ranges with timestamps from a time on, epoch milliseconds."""
        asked = [TopicPartition(self._topic, number, time_ms) for number in bounds]
        found = self._consumer.offsets_for_times(asked, timeout=REQUEST_TIMEOUT_S) if asked else []
        starts = {p.partition: p.offset for p in found}
        return {
            number: (max(low, starts[number]) if starts[number] >= 0 else high, high)
            for number, (low, high) in bounds.items()
        }

    def read(self, ranges: Mapping[int, Range]) -> Iterator[Message]:
        """The messages of the ranges, in order within each partition.

        Ends where a partition ends, too, whatever the range says: the last offsets may be marks of
        transactions, which are never delivered.
        """
        left = {number: end for number, (start, end) in ranges.items() if start < end}
        self._consumer.assign(
            [TopicPartition(self._topic, number, ranges[number][0]) for number in left]
        )
        heard_at = time.monotonic()
        while left:
            for message in self._consumer.consume(_BATCH, _POLL_S):
                heard_at = time.monotonic()
                yield from _taken(message, left)
            _check_silence(heard_at, self._topic)
        self._consumer.unassign()


def _taken(message: Message, left: dict[int, int]) -> Iterator[Message]:
    """The message, if it lies within what is left of its partition; notes where one ends."""
    number, offset = message.partition(), message.offset()
    if number is None or offset is None:
        _raise_if_hopeless(message)
        return
    wanted = offset < left.get(number, -1) and message.error() is None
    if _is_end(message) or offset + 1 >= left.get(number, -1):
        left.pop(number, None)
    if wanted:
        yield message


def reader_config(kafka: KafkaSettings) -> dict[str, Any]:
    """A consumer's settings without membership."""
    members = {k: v for k, v in consumer_config(kafka).items() if not k.startswith(_OF_MEMBERS)}
    return {**members, "group.id": READER_GROUP, "enable.partition.eof": True}


def _is_end(message: Message) -> bool:
    """Whether this says that the partition ends here. Raises `KafkaException` for real errors."""
    error = message.error()
    if error is not None and error.code() == KafkaError._PARTITION_EOF:
        return True
    _raise_if_hopeless(message)
    return False


def _raise_if_hopeless(message: Message) -> None:
    error = message.error()
    if error is not None and (error.fatal() or not error.retriable()):
        if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
            return
        raise KafkaException(error)


def _check_silence(heard_at: float, topic: str) -> None:
    if time.monotonic() - heard_at > SILENCE_S:
        raise KafkaException(
            KafkaError(KafkaError._TIMED_OUT, f"nothing of {topic} in {SILENCE_S:g} s")
        )
