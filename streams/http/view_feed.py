"""Reads both compacted topics from their beginnings and goes on reading; a thread of its own.

It asks the broker every few seconds where the topics end. Whoever has not been there for a while
reads everything anew, and says so first: an answer is never older than that, whatever is to blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog
from confluent_kafka import KafkaException, Message

from understudy.streams.http.materialized_view import Of, Seen
from understudy.streams.kafka.client_config import client_config, topics
from understudy.streams.kafka.compacted_topic import FellBehind, TopicFollower, key_text
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

POLL_S: Final = 0.05
RETRY_S: Final = 2.0
TIMEOUT_S: Final = 10.0


class Readers(Protocol):
    """Who is told of what was read."""

    def begin(self) -> None:
        """Everything is to be read anew."""

    def take(self, messages: list[Seen]) -> None:
        """Some was read."""

    def complete(self) -> None:
        """Everything has been read once."""


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
    ensure_topics(client_config(kafka), names, replication_factor=kafka.replication_factor,
                  timeout_s=TIMEOUT_S)  # fmt: skip
    with TopicFollower(kafka, of) as follower:
        is_complete = False
        while not stop.is_set():
            if messages := follower.take(POLL_S):
                readers.take([_seen(of, message) for message in messages])
            if follower.has_caught_up(time.monotonic()) and not is_complete:
                readers.complete()
                is_complete = True


def _seen(of: Mapping[str, Of], message: Message) -> Seen:
    value = message.value()
    value = value.encode() if isinstance(value, str) else value
    return Seen(of[message.topic() or ""], key_text(message), value)
