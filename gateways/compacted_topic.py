"""A compacted topic with the key `rollout_id`, read by each process of a gateway without a group.

It is read from its beginning; until its end is reached for the first time nothing is known, since
what was read may be out of date.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from understudy.gateways.after_fork import leave_to_parent
from understudy.gateways.follower import Follower, Value

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


class CompactedTopicFollower(Follower[Value]):
    """The newest value of every rollout in a topic."""

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        """Follow with librdkafka's settings, `bootstrap.servers` at least."""
        self._topic = topic
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

    def values(self) -> Mapping[str, Value]:
        """Return the newest value of each rollout; none before all was read."""
        if not self._threads:
            self._run(self._topic, self._follow)
        return self._values

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
        newest: dict[str, Value] = {}
        while not stop.is_set():
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            if error := message.error():
                if error.code() == KafkaError._PARTITION_EOF and unread:
                    unread.discard(message.partition() or 0)
                    if not unread:
                        self._values = newest
                        self._ready.set()
                _raise_unless_mended(error)
            else:
                self._apply(newest, message)

    def _apply(self, newest: dict[str, Value], message: Message) -> None:
        """Note what a message says about its rollout; one without a value deletes it."""
        key, payload = message.key() or b"", message.value()
        rollout_id = key.decode(errors="replace") if isinstance(key, bytes) else key
        value: Value | None = None
        if payload is not None:
            _, written_ms = message.timestamp()
            written_at = dt.datetime.fromtimestamp(written_ms / _MS_PER_S, dt.UTC)
            payload = payload if isinstance(payload, bytes) else payload.encode()
            value = self._value_of(rollout_id, payload, written_at, newest.get(rollout_id))
        if value is None:
            newest.pop(rollout_id, None)
        else:
            newest[rollout_id] = value

    @abstractmethod
    def _value_of(
        self, rollout_id: str, payload: bytes, written_at: dt.datetime, previous: Value | None
    ) -> Value | None:
        """Return what a message says; None where it says nothing."""


def _raise_unless_mended(error: KafkaError) -> None:
    ignored = (KafkaError._PARTITION_EOF, *_NOT_NEEDED, *_MENDED_BY_LIBRDKAFKA)
    if error.fatal() or not (error.retriable() or error.code() in ignored):
        raise KafkaException(error)
