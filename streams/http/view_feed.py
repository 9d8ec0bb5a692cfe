"""Reads both compacted topics from their beginnings and goes on reading; a thread of its own.

It asks the broker every few seconds where the topics end. Whoever has not been there for a while
reads everything anew, and says so first: an answer is never older than that, whatever is to blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from understudy.streams.http.materialized_view import Of, Seen
from understudy.streams.kafka.client_config import client_config, topics
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.kafka.topic_reader import reader_config
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

STALE_S: Final = 30.0
LOOK_EVERY_S: Final = 2.0
BATCH_RECORDS: Final = 500
POLL_S: Final = 0.05
RETRY_S: Final = 2.0
TIMEOUT_S: Final = 10.0

Place = tuple[str, int]
"""Topic and partition."""


class Readers(Protocol):
    """Who is told of what was read."""

    def begin(self) -> None:
        """Everything is to be read anew."""

    def take(self, messages: list[Seen]) -> None:
        """Some was read."""

    def complete(self) -> None:
        """Everything has been read once."""


class FellBehind(RuntimeError):
    """The ends of the topics have not been reached for too long."""


def feed(kafka: KafkaSettings, readers: Readers, stop: threading.Event) -> None:
    """Read until told to stop; whatever fails is logged and begun anew."""
    while not stop.is_set():
        readers.begin()
        try:
            _read(kafka, readers, stop)
        except (KafkaException, TimeoutError, FellBehind) as error:
            log.warning("api.feed_failed", error=str(error))
        except Exception as error:
            log.error("api.feed_failed", error=repr(error), exc_info=error)
        stop.wait(RETRY_S)


def _read(kafka: KafkaSettings, readers: Readers, stop: threading.Event) -> None:
    names = topics(kafka)
    of: dict[str, Of] = {names.rollouts.name: "rollout", names.decisions.name: "decision"}
    consumer = Consumer(reader_config(kafka), logger=KAFKA_LOGGER)
    try:
        reach = Reach(kafka, _partitions(kafka, consumer, of))
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in reach.positions])
        is_complete = False
        while not stop.is_set():
            messages = consumer.consume(BATCH_RECORDS, POLL_S)
            seen = [_seen(of, message) for message in messages if message.error() is None]
            if seen:
                readers.take(seen)
            reach.see(messages)
            if reach.look(time.monotonic()) and not is_complete:
                readers.complete()
                is_complete = True
    finally:
        consumer.close()


def _partitions(kafka: KafkaSettings, consumer: Consumer, names: Iterable[str]) -> list[Place]:
    """All partitions; raises `KafkaException` when no broker answers."""
    config = client_config(kafka)
    ensure_topics(config, topics(kafka), replication_factor=kafka.replication_factor,
                  timeout_s=TIMEOUT_S)  # fmt: skip
    found = consumer.list_topics(timeout=TIMEOUT_S).topics
    return [(name, number) for name in names for number in found[name].partitions]


class Reach:
    """How far was read, and whether that was the end when the broker was last asked."""

    def __init__(self, kafka: KafkaSettings, places: Iterable[Place]) -> None:
        self.positions = dict.fromkeys(places, 0)
        self._admin = AdminClient(client_config(kafka), logger=KAFKA_LOGGER)
        self._asked: dict[Place, Future[Any]] = {}
        self._asked_s = 0.0
        self._positions_asked: dict[Place, int] = {}
        self._ends: Mapping[Place, int] = {}
        self._current_s = self._ends_s = time.monotonic()
        """When the ends that were reached were asked for, and those that are known."""

    def see(self, messages: Iterable[Message]) -> None:
        """Take note of positions. Raises `KafkaException` for an error that stays."""
        for message in messages:
            error, offset = message.error(), message.offset() or 0
            place = (message.topic() or "", message.partition() or 0)
            if error is None:
                self.positions[place] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.positions[place] = offset
            elif error.fatal():
                raise KafkaException(error)
            else:
                log.warning("kafka.unavailable", error=error.str())

    def look(self, now_s: float) -> bool:
        """Whether the ends as last asked for have been reached. Raises `FellBehind`."""
        self._hear()
        if not self._asked and now_s - self._asked_s >= LOOK_EVERY_S:
            self._ask(now_s)
        at_end = bool(self._ends) and all(
            self.positions[place] >= end for place, end in self._ends.items()
        )
        if at_end:
            self._current_s = self._ends_s
        if now_s - self._current_s > STALE_S:
            raise FellBehind(f"the ends of the topics were not reached for {STALE_S:g} s")
        return at_end

    def _ask(self, now_s: float) -> None:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._admin.list_offsets(
            {TopicPartition(*place): latest for place in self.positions},
            request_timeout=TIMEOUT_S,
        )
        self._asked = {(place.topic, place.partition): one for place, one in asked.items()}
        self._asked_s, self._positions_asked = now_s, dict(self.positions)

    def _hear(self) -> None:
        """Take the answer when all of it is there. Raises `FellBehind` when it cannot be true."""
        if not self._asked or not all(one.done() for one in self._asked.values()):
            return
        asked, self._asked = self._asked, {}
        try:
            ends = {place: one.result().offset for place, one in asked.items()}
        except KafkaException:  # the broker is away; it is asked again
            return
        if any(self._positions_asked[place] > end for place, end in ends.items()):
            raise FellBehind("a topic was made anew")
        self._ends, self._ends_s = ends, self._asked_s


def _seen(of: Mapping[str, Of], message: Message) -> Seen:
    key, value = message.key() or b"", message.value()
    name = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key
    value = value.encode() if isinstance(value, str) else value
    return Seen(of[message.topic() or ""], name, value)
