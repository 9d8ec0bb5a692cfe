"""Feeds the view from the two compacted topics: reads them from the beginning and follows them.

A feed that has not reached the ends of the topics for `compacted_topic.STALE_S` resets the view and
reads everything again, so no response is ever older than that, whatever the reason.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog
from confluent_kafka import KafkaException, Message

from understudy.streams.http.materialized_view import RecordKind, ViewUpdate
from understudy.streams.kafka.client_config import client_config, topics
from understudy.streams.kafka.compacted_topic import FellBehind, TopicFollower, key_text
from understudy.streams.kafka.explanations import explain
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

POLL_S: Final = 0.25
"""How soon a stop is noticed; a decision is taken as soon as it is there."""
RETRY_S: Final = 2.0
"""Between attempts, so that a broker that is unavailable is not flooded with requests."""
TIMEOUT_S: Final = 10.0
"""For creating the topics; a broker that works takes milliseconds."""


class ViewUpdates(Protocol):
    """Receives what the feed reads."""

    def reset(self) -> None:
        """Everything is read again."""

    def apply(self, updates: list[ViewUpdate]) -> None:
        """Some messages were read."""

    def mark_complete(self) -> None:
        """Everything was read once."""


def feed(kafka: KafkaSettings, updates: ViewUpdates, stop: threading.Event) -> None:
    """Feed the view until `stop` is set. Failures are logged, and reading starts again."""
    while not stop.is_set():
        updates.reset()
        try:
            _read(kafka, updates, stop)
        except KafkaException as error:
            log.warning("http.feed_failed", error=explain(error, kafka))
        except (TimeoutError, FellBehind) as error:
            log.warning("http.feed_failed", error=str(error))
        except Exception as error:
            log.error("http.feed_failed", error=repr(error), exc_info=error)
        stop.wait(RETRY_S)


def _read(kafka: KafkaSettings, updates: ViewUpdates, stop: threading.Event) -> None:
    names, kinds = topics(kafka), view_topics(kafka)
    ensure_topics(
        client_config(kafka), (names.rollouts, names.decisions),
        replication_factor=kafka.replication_factor, timeout_s=TIMEOUT_S,
    )  # fmt: skip
    with TopicFollower(kafka, kinds) as follower:
        is_complete = False
        while not stop.is_set():
            if messages := follower.take(POLL_S):
                updates.apply([view_update(kinds, message) for message in messages])
            if follower.has_caught_up(time.monotonic()) and not is_complete:
                updates.mark_complete()
                is_complete = True


def view_topics(kafka: KafkaSettings) -> dict[str, RecordKind]:
    """What each of the two topics holds, by its name."""
    names = topics(kafka)
    return {names.rollouts.name: "rollout", names.decisions.name: "decision"}


def view_update(kinds: Mapping[str, RecordKind], message: Message) -> ViewUpdate:
    """What a message of one of the two topics changes; `kinds` says what each topic holds."""
    value = message.value()
    value = value.encode() if isinstance(value, str) else value
    _, written_ms = message.timestamp()
    written_at = dt.datetime.fromtimestamp(written_ms / 1e3, dt.UTC)
    return ViewUpdate(kinds[message.topic() or ""], key_text(message), value, written_at)
