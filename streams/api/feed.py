"""Reads both compacted topics from their beginnings and goes on reading; a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from understudy.streams.api.board import Of, Seen
from understudy.streams.kafka import client_config, topics
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.operating.reading import reader_config
from understudy.streams.settings import KafkaSettings
from understudy.streams.topics import ensure_topics

log = structlog.get_logger(__name__)

BATCH_RECORDS: Final = 500
POLL_S: Final = 0.1
RETRY_S: Final = 2.0
TIMEOUT_S: Final = 10.0

Deliver = Callable[[list[Seen]], None]


def feed(
    kafka: KafkaSettings, deliver: Deliver, complete: Callable[[], None], stop: threading.Event
) -> None:
    """Deliver every message until told to stop; `complete` is called once, at the first end.

    Waits for a broker that is away. Raises `KafkaException` when going on is impossible.
    """
    names = topics(kafka)
    of: dict[str, Of] = {names.rollouts.name: "rollout", names.decisions.name: "decision"}
    consumer = Consumer(reader_config(kafka), logger=KAFKA_LOGGER)
    try:
        unread = set(_partitions(kafka, consumer, list(of), stop))
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in unread])
        is_complete = False
        while not stop.is_set():
            messages = consumer.consume(BATCH_RECORDS, POLL_S)
            seen = [_seen(of, message) for message in messages if message.error() is None]
            if seen:
                deliver(seen)
            unread -= {place for message in messages if (place := _end(message)) is not None}
            if not unread and not is_complete:
                complete()
                is_complete = True
    finally:
        consumer.close()


def _partitions(
    kafka: KafkaSettings, consumer: Consumer, names: list[str], stop: threading.Event
) -> list[tuple[str, int]]:
    """All partitions, once a broker answers; none when told to stop before."""
    config = client_config(kafka)
    while not stop.is_set():
        try:
            ensure_topics(config, topics(kafka), replication_factor=kafka.replication_factor,
                          timeout_s=TIMEOUT_S)  # fmt: skip
            found = consumer.list_topics(timeout=TIMEOUT_S).topics
            return [(name, number) for name in names for number in found[name].partitions]
        except (KafkaException, TimeoutError) as error:
            log.warning("kafka.unavailable", error=str(error))
            stop.wait(RETRY_S)
    return []


def _seen(of: dict[str, Of], message: Message) -> Seen:
    key, value = message.key() or b"", message.value()
    name = key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else key
    value = value.encode() if isinstance(value, str) else value
    return Seen(of[message.topic() or ""], name, value)


def _end(message: Message) -> tuple[str, int] | None:
    """The partition that ends here. Raises `KafkaException` for an error that stays."""
    error = message.error()
    if error is None:
        return None
    if error.code() == KafkaError._PARTITION_EOF:
        return message.topic() or "", message.partition() or 0
    if error.fatal():
        raise KafkaException(error)
    log.warning("kafka.unavailable", error=error.str())
    return None
