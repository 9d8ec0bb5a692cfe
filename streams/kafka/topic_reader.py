"""Reads ranges of a topic once, outside any group: nothing is joined, moved or committed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.streams.kafka.access_denied import AccessDenied, failure_of, needing
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.client_config import READER_GROUP, reader_config
from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata
from understudy.streams.kafka.unreadable import is_unreadable, step_over
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings

REQUEST_TIMEOUT_S: Final = 15.0
"""Longer than a broker's restart takes, so that one passes unseen."""
_SILENCE_S: Final = 30.0
"""Twice a request's timeout: librdkafka has then tried again at least once."""
_BATCH_RECORDS: Final = 1000
_POLL_S: Final = 0.2
"""How soon a silent broker is noticed, and how often an election is asked about."""
_ELECTING: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
NO_GROUP: Final = KafkaError.GROUP_AUTHORIZATION_FAILED
"""librdkafka looks for the coordinator of the group whose name it requires, though what reads
outside any group needs none, and no right to one."""
_BROKER_AWAY: Final = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
"""What librdkafka mends by itself once a broker is back."""

Range = tuple[int, int]
"""First offset, and the one after the last."""


class MissingTopic(LookupError):
    """The broker has no such topic."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"there is no topic {topic}; `understudy topics` creates it")


class TopicReader:
    """Reads one topic; a context manager. Raises `KafkaException` when the broker is away."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        group_id: str = READER_GROUP,
    ) -> None:
        """Read a topic; of a group that is named, only the commits are read."""
        self._topic = topic
        self._timeout_s = timeout_s
        self._errors = ConnectionErrors()
        config = {**reader_config(kafka), "group.id": group_id}
        self._config = self._errors.listening(config)
        self._consumer = Consumer(self._config, logger=KAFKA_LOGGER)
        self._right = Right("topic", topic, "Read")

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
        """Return what each partition holds now. Raises `MissingTopic`."""
        found = readable_partitions(self._consumer, self._errors, [self._topic], self._timeout_s)
        return {number: self._bounds_of(number) for number in sorted(found[self._topic])}

    def _bounds_of(self, number: int) -> Range:
        """Return what one partition holds; waits while it changes its leader."""
        here = TopicPartition(self._topic, number)
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(here, timeout=self._timeout_s)
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)
            else:
                return low, high

    def committed(self, partitions: Iterable[int]) -> list[TopicPartition]:
        """Return what the group has committed for each partition, with its metadata."""
        requested = [TopicPartition(self._topic, number) for number in partitions]
        return self._consumer.committed(requested, timeout=self._timeout_s)

    def since(self, time_ms: int, bounds: Mapping[int, Range]) -> dict[int, Range]:
        """Return the parts of the ranges whose timestamps are at least `time_ms`."""
        asked = [TopicPartition(self._topic, number, time_ms) for number in bounds]
        found = self._consumer.offsets_for_times(asked, timeout=self._timeout_s) if asked else []
        starts = {p.partition: p.offset for p in found}
        return {
            number: (max(low, starts[number]) if starts[number] >= 0 else high, high)
            for number, (low, high) in bounds.items()
        }

    def read(self, ranges: Mapping[int, Range]) -> Iterator[Message]:
        """Yield the messages of the ranges, in order within each partition.

        Stops where a partition ends, too, whatever the range says: the last offsets may be
        transaction markers, which are never delivered.
        """
        left = {number: end for number, (start, end) in ranges.items() if start < end}
        self._consumer.assign(
            [TopicPartition(self._topic, number, ranges[number][0]) for number in left]
        )
        last_message_s = time.monotonic()
        while left:
            for message in self._consumer.consume(_BATCH_RECORDS, _POLL_S):
                last_message_s = time.monotonic()
                if is_unreadable(message):
                    self._step_over(message, left)
                    continue
                with needing(self._right):
                    yield from _within(message, left)
            if time.monotonic() - last_message_s > _SILENCE_S:
                silent = f"nothing of {self._topic} in {_SILENCE_S:g} s"
                late = KafkaError(KafkaError._TIMED_OUT, silent)
                raise KafkaException(self._errors.refusal or late)
        self._consumer.unassign()

    def _step_over(self, message: Message, left: dict[int, int]) -> None:
        """Go on behind a batch that cannot be unpacked; drop the range if it ends there."""
        number, offset = message.partition() or 0, message.offset() or 0
        position = step_over(self._consumer, self._config, (self._topic, number), offset)
        if position >= left.get(number, 0):
            left.pop(number, None)


def readable_partitions(
    consumer: Consumer, errors: ConnectionErrors, names: Iterable[str], timeout_s: float
) -> dict[str, Iterable[int]]:
    """Return the partitions of topics that are to be read.

    Raises `MissingTopic`, and `AccessDenied` for one that this user may not know of: the list of
    all topics leaves it out.
    """
    found = cluster_metadata(consumer, errors, timeout_s).topics
    places: dict[str, Iterable[int]] = {}
    for name in names:
        if name not in found:
            _raise_if_hidden(consumer, errors, name, timeout_s)
        if name not in found or not found[name].partitions:
            raise MissingTopic(name)
        places[name] = found[name].partitions
    return places


def _raise_if_hidden(
    consumer: Consumer, errors: ConnectionErrors, name: str, timeout_s: float
) -> None:
    """Ask for one topic by name: consumers do not make topics by asking."""
    found = cluster_metadata(consumer, errors, timeout_s, name).topics.get(name)
    if found is not None and found.error is not None:
        failure = failure_of(found.error, Right("topic", name, "Read"))
        if isinstance(failure, AccessDenied):
            raise failure


def _within(message: Message, left: dict[int, int]) -> Iterator[Message]:
    """Yield a message of the ranges that are left; drop the range where it ends."""
    number, offset, error = message.partition(), message.offset(), message.error()
    is_end = error is not None and error.code() == KafkaError._PARTITION_EOF
    if error is not None and not is_end:
        _raise_if_permanent(error)
    if number is None or offset is None:
        return
    end = left.get(number, -1)
    if is_end or offset + 1 >= end:
        left.pop(number, None)
    if error is None and offset < end:
        yield message


def _raise_if_permanent(error: KafkaError) -> None:
    if error.code() == NO_GROUP:
        return
    if (error.fatal() or not error.retriable()) and error.code() not in _BROKER_AWAY:
        raise KafkaException(error)
