"""Decisions as a gateway reads them from Kafka: each process the whole topic, without a group.

The topic is compacted, with the key `rollout_id`. It is read from its beginning; until its end is
reached for the first time there is no allocation, since what was read may be out of date.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from understudy.gateways.after_fork import leave_to_parent
from understudy.gateways.allocation import Allocation, decode_allocation
from understudy.gateways.decision_follower import DecisionFollower, distrusted
from understudy.schemas.topics import DEFAULT_PREFIX, understudy_topics

log = logging.getLogger(__name__)

_POLL_S: Final = 0.5
"""How long `close` may wait; a decision ends the wait at once."""
_METADATA_TIMEOUT_S: Final = 10.0
"""For the broker's list of partitions; beyond it the attempt begins anew."""
_GROUP: Final = "understudy-gateway"
"""librdkafka requires a name; nothing is committed, so the group never comes into being."""
_NOT_NEEDED: Final = (KafkaError.GROUP_AUTHORIZATION_FAILED,)
"""librdkafka looks for the coordinator of that group although nothing asks it to."""
_MENDED_BY_LIBRDKAFKA: Final = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
"""It connects again by itself; a new consumer would read everything anew."""
_MS_PER_S: Final = 1_000


class KafkaDecisions(DecisionFollower):
    """The newest decision of every rollout, from `understudy.decisions`."""

    def __init__(self, config: Mapping[str, Any], *, topic_prefix: str = DEFAULT_PREFIX) -> None:
        """Follow with librdkafka's settings, `bootstrap.servers` at least."""
        self._topic = understudy_topics(topic_prefix).decisions.name
        self._config = {
            "client.id": "understudy-gateway",
            **config,
            "group.id": _GROUP,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
        super().__init__()
        self._run(self._topic, self._follow)

    def _begin(self) -> None:
        super()._begin()
        self._consumer: Consumer | None = None
        self._ready = threading.Event()

    def begin_in_child(self) -> None:
        """After a fork: leave the parent's consumer to the parent, and know nothing yet."""
        if self._consumer is not None:
            leave_to_parent(self._consumer)
        super().begin_in_child()

    def allocation(self, rollout_id: str) -> Allocation | None:
        """Return what the newest decision allocates; None without one, or before all was read."""
        if not self._threads:
            self._run(self._topic, self._follow)
        return self._allocations.get(rollout_id)

    def wait_until_read(self, timeout_s: float) -> bool:
        """Wait until the topic was read to its end once; whether it was."""
        return self._ready.wait(timeout_s)

    def _follow(self, stop: threading.Event) -> None:
        consumer = self._consumer = Consumer(self._config, logger=log)
        try:
            self._read(consumer, stop)
        finally:
            self._consumer = None
            consumer.close()

    def _read(self, consumer: Consumer, stop: threading.Event) -> None:
        """Read everything, then put it in force at once, then go on. Raises `KafkaException`."""
        partitions = consumer.list_topics(self._topic, _METADATA_TIMEOUT_S).topics[self._topic]
        if partitions.error is not None:
            raise KafkaException(partitions.error)
        unread = set(partitions.partitions)
        consumer.assign([TopicPartition(self._topic, n, OFFSET_BEGINNING) for n in unread])
        newest: dict[str, Allocation] = {}
        while not stop.is_set():
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF and unread:
                    unread.discard(message.partition() or 0)
                    if not unread:
                        self._allocations = newest
                        self._ready.set()
                _raise_unless_mended(error)
            else:
                _apply(newest, message)


def _raise_unless_mended(error: KafkaError) -> None:
    ignored = (KafkaError._PARTITION_EOF, *_NOT_NEEDED, *_MENDED_BY_LIBRDKAFKA)
    if error.fatal() or not (error.retriable() or error.code() in ignored):
        raise KafkaException(error)


def _apply(allocations: dict[str, Allocation], message: Message) -> None:
    """Note what a message says about its rollout; one without a value deletes it."""
    key, value = message.key() or b"", message.value()
    rollout_id = key.decode(errors="replace") if isinstance(key, bytes) else key
    if value is None:
        allocations.pop(rollout_id, None)
        return
    _, written_ms = message.timestamp()
    written_at = dt.datetime.fromtimestamp(written_ms / _MS_PER_S, dt.UTC)
    try:
        allocations[rollout_id] = decode_allocation(
            value if isinstance(value, bytes) else value.encode(), written_at
        )
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.error("The newest decision about %s cannot be read: %s", rollout_id, error)
        if rollout_id in allocations:
            allocations[rollout_id] = distrusted(allocations[rollout_id])
