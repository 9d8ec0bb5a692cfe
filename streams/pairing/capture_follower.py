"""Follows the policies of rollouts, to know which of them capture pairs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from confluent_kafka import KafkaException, Message

from understudy.schemas.rollout_records import RolloutRecord, decode_rollout_record
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.compacted_topic import FellBehind, TopicFollower, key_text
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.pairing.capture_choices import CaptureChoice, CaptureChoices, take_over
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

CAUGHT_UP_TIMEOUT_S: Final = 30.0
"""For all policies to be read before pairing begins: longer than a broker takes to restart."""
_TAKE_S: Final = 0.5
"""How soon a stop is noticed, and a policy after it came."""
_CATCH_UP_TAKE_S: Final = 0.05
"""Pairing waits for it."""
_RETRY_S: Final = 5.0
"""Before the topic is read again after an error; what was known until then goes on counting."""
_STOP_TIMEOUT_S: Final = 5.0


@contextmanager
def following_captures(kafka: KafkaSettings, choices: CaptureChoices) -> Iterator[None]:
    """Keep the choices up to date inside the context, which begins once all policies are read.

    Without a broker it begins anyway, after a while: nothing else depends on what is captured.
    """
    stop, is_read = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=_follow,
        args=(kafka, choices, stop, is_read),
        name="understudy-captures",
        daemon=True,
    )
    thread.start()
    try:
        if not is_read.wait(CAUGHT_UP_TIMEOUT_S):
            log.warning("captures.policies_unread", why="the broker did not answer in time")
        yield
    finally:
        stop.set()
        thread.join(_STOP_TIMEOUT_S)


def _follow(
    kafka: KafkaSettings, choices: CaptureChoices, stop: threading.Event, is_read: threading.Event
) -> None:
    """Read the topic until told to stop; after an error, again from its beginning."""
    topic = topics(kafka).rollouts.name
    while not stop.is_set():
        try:
            with TopicFollower(kafka, [topic]) as follower:
                _read(follower, choices, stop, is_read)
        except (KafkaException, MissingTopic, FellBehind) as error:
            log.warning("captures.policies_unread", why=str(error))
            is_read.set()
            stop.wait(_RETRY_S)


def _read(
    follower: TopicFollower,
    choices: CaptureChoices,
    stop: threading.Event,
    is_read: threading.Event,
) -> None:
    """Follow the topic from its beginning; what was known before counts until all is read.

    Else a policy that was replaced would count for a moment, and capture what no longer may be.
    """
    found: dict[str, CaptureChoice] = {}
    is_caught_up = False
    while not stop.is_set():
        messages = follower.take(_TAKE_S if is_caught_up else _CATCH_UP_TAKE_S)
        for message in messages:
            take_over(found, key_text(message), record_of(message))
        is_changed = bool(messages)
        if not is_caught_up:
            is_changed = is_caught_up = follower.has_caught_up(time.monotonic())
        if is_changed and is_caught_up:
            choices.by_rollout = dict(found)
            is_read.set()


def record_of(message: Message) -> RolloutRecord | None:
    """Return the record of a message; None for a deletion and for what cannot be read.

    A record of a later release captures nothing: what it means is not known.
    """
    value = message.value()
    if not isinstance(value, bytes):
        return None
    try:
        return decode_rollout_record(value)
    except (ValueError, RecursionError) as error:
        log.warning("captures.policy_unreadable", rollout_id=key_text(message), error=str(error))
        return None
