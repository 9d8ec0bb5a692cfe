"""Compacted topics: read once to the end, or followed from the beginning on.

Both read outside any consumer group. A message without a value deletes its key.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.access_denied import NOT_ALLOWED, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.client_config import client_config, reader_config
from understudy.streams.kafka.connection_errors import ConnectionErrors
from understudy.streams.kafka.offsets import PartitionId, request_ends
from understudy.streams.kafka.topic_reader import (
    NO_GROUP,
    REQUEST_TIMEOUT_S,
    TopicReader,
    readable_partitions,
)
from understudy.streams.kafka.unreadable import is_unreadable, step_over
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

STALE_S: Final = 30.0
"""What is served from a followed topic is never older than this: two broker restarts of ten
seconds pass unseen, a follower that is cut off does not."""
_ASK_ENDS_EVERY_S: Final = 2.0
"""Cheap for the broker, and fifteen chances to catch up before what was read is stale."""
_BATCH_RECORDS: Final = 500


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value of a key, and where it lies."""

    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class TopicSnapshot:
    """What a topic held when it was read."""

    values: Mapping[str, Sequence[StoredValue]]
    """The values of each key since it was last deleted, the oldest first."""
    ends: Mapping[int, int]
    """Where each partition ended."""


def read_snapshot(
    kafka: KafkaSettings,
    topic: str,
    *,
    newest_only: bool = False,
    timeout_s: float = REQUEST_TIMEOUT_S,
) -> TopicSnapshot:
    """Read a topic to its end as of now; with `newest_only` a key has its last value alone.

    Raises `MissingTopic`, and `KafkaException` when the broker is away.
    """
    values: dict[str, list[StoredValue]] = {}
    with TopicReader(kafka, topic, timeout_s=timeout_s) as reader:
        bounds = reader.bounds()
        for message in reader.read(bounds):
            key, value = key_text(message), message.value()
            if value is None or newest_only:
                values.pop(key, None)
            if value is not None:
                place = message.partition() or 0, message.offset() or 0
                values.setdefault(key, []).append(StoredValue(*place, value))
    return TopicSnapshot(values, {number: end for number, (_, end) in bounds.items()})


def key_text(message: Message) -> str:
    """Return a message's key as text, whatever its bytes are."""
    key = message.key() or b""
    return key if isinstance(key, str) else key.decode("utf-8", "backslashreplace")


class FellBehind(RuntimeError):
    """The ends of the topics were not reached for too long; read them again from the start."""


class TopicFollower:
    """Reads topics from their beginning and goes on; knows whether it has caught up.

    A context manager. Raises `MissingTopic`, and `KafkaException` when no broker answers.
    """

    def __init__(
        self, kafka: KafkaSettings, names: Iterable[str], *, stale_s: float = STALE_S
    ) -> None:
        self._stale_s = stale_s
        self._errors = ConnectionErrors()
        self._config = self._errors.listening(reader_config(kafka))
        self._consumer = Consumer(self._config, logger=KAFKA_LOGGER)
        self._admin = AdminClient(client_config(kafka), logger=KAFKA_LOGGER)
        try:
            self._positions = dict.fromkeys(self._partitions(names), 0)
        except Exception:
            self._consumer.close()
            raise
        self._consumer.assign(
            [TopicPartition(*place, OFFSET_BEGINNING) for place in self._positions]
        )
        self._answers: dict[PartitionId, Future[Any]] = {}
        self._asked_at_s = 0.0
        self._positions_then: dict[PartitionId, int] = {}
        self._ends: Mapping[PartitionId, int] = {}
        self._current_at_s = self._ends_at_s = time.monotonic()
        """When the ends that were reached were asked for, and those that are known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _partitions(self, names: Iterable[str]) -> list[PartitionId]:
        found = readable_partitions(self._consumer, self._errors, names, REQUEST_TIMEOUT_S)
        return [(name, number) for name, numbers in found.items() for number in numbers]

    def take(self, wait_s: float) -> list[Message]:
        """Return what has come, as soon as something has, or nothing after `wait_s`.

        Deletions are among the messages. Raises `KafkaException` for an error that librdkafka does
        not mend by itself.
        """
        first = self._consumer.poll(wait_s)
        if first is None:
            return []
        return self._delivered([first, *self._consumer.consume(_BATCH_RECORDS, 0.0)])

    def take_values(self, wait_s: float) -> list[tuple[Message, bytes]]:
        """Return all that has come, each message with its value; deletions are left out."""
        values: list[tuple[Message, bytes]] = []
        while batch := self._consumer.consume(_BATCH_RECORDS, wait_s):
            values += [
                (message, value)
                for message in self._delivered(batch)
                if isinstance(value := message.value(), bytes)
            ]
        return values

    def _delivered(self, batch: Iterable[Message]) -> list[Message]:
        """Note how far was read; leave out what only reports an error or the end."""
        messages = []
        unreadable: set[PartitionId] = set()
        for message in batch:
            error, offset = message.error(), message.offset() or 0
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                self._positions[place] = offset + 1
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._positions[place] = offset
            elif is_unreadable(message):
                unreadable.add(place)
            elif error.code() == NO_GROUP:
                continue
            elif error.fatal() or error.code() in NOT_ALLOWED:
                raise failure_of(error, Right("topic", place[0], "Read"))
            else:
                log.warning("kafka.unavailable", error=error.str())
        for place in unreadable:
            self._positions[place] = step_over(
                self._consumer, self._config, place, self._positions[place]
            )
        return messages

    def has_caught_up(self, now_s: float) -> bool:
        """Whether all was read up to the ends as the broker last gave them.

        Asks the broker every few seconds, without waiting. Raises `FellBehind`.
        """
        self._collect_answers()
        if not self._answers and now_s - self._asked_at_s >= _ASK_ENDS_EVERY_S:
            self._answers = request_ends(self._admin, self._positions, REQUEST_TIMEOUT_S)
            self._asked_at_s, self._positions_then = now_s, dict(self._positions)
        at_end = bool(self._ends) and all(
            self._positions[place] >= end for place, end in self._ends.items()
        )
        if at_end:
            self._current_at_s = self._ends_at_s
        if now_s - self._current_at_s > self._stale_s:
            raise FellBehind(f"the ends of the topics were not reached for {self._stale_s:g} s")
        return at_end

    def _collect_answers(self) -> None:
        """Take the ends when all of them are there. Raises `FellBehind` when a log was replaced."""
        if not self._answers or not all(answer.done() for answer in self._answers.values()):
            return
        answers, self._answers = self._answers, {}
        try:
            ends = {place: answer.result().offset for place, answer in answers.items()}
        except KafkaException:  # the broker is away; it is asked again
            return
        if any(self._positions_then[place] > end for place, end in ends.items()):
            raise FellBehind("a topic was deleted and created again")
        self._ends, self._ends_at_s = ends, self._asked_at_s
