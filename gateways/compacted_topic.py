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
_UNREADABLE: Final = (
    KafkaError._BAD_COMPRESSION,
    KafkaError._BAD_MSG,
    KafkaError._NOT_IMPLEMENTED,
)
"""A batch that cannot be unpacked: librdkafka fetches it again for ever."""
_FETCH_AGAIN_MS: Final = 10
"""After such a batch; the default of 500 ms for each of its records would take minutes."""
_MS_PER_S: Final = 1_000


class CompactedTopicFollower(Follower[Value]):
    """The newest value of every rollout in a topic.

    Nothing in the topic ends the reading: a record that cannot be read counts as `_unreadable`
    says, and what cannot be unpacked is stepped over.
    """

    _record: str
    """What a record is, in the words of a log line, before its rollout."""

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        """Follow with librdkafka's settings, `bootstrap.servers` at least."""
        self._topic = topic
        self._config = {
            "client.id": "understudy-gateway",
            "fetch.error.backoff.ms": _FETCH_AGAIN_MS,
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
        positions = dict.fromkeys(unread, 0)
        while not stop.is_set():
            message = consumer.poll(_POLL_S)
            if message is None:
                continue
            partition, offset = message.partition() or 0, message.offset() or 0
            if (error := message.error()) is None:
                positions[partition] = offset + 1
                self._apply(newest, message)
            elif error.code() in _UNREADABLE and offset >= 0:
                positions[partition] = max(positions[partition], offset) + 1
                consumer.seek(TopicPartition(self._topic, partition, positions[partition]))
                self._distrust_all(newest, error)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._note_end(unread, partition, newest)
            else:
                _raise_unless_mended(error)

    def _note_end(self, unread: set[int], partition: int, newest: dict[str, Value]) -> None:
        """Put all that was read in force once the ends of all partitions have been seen."""
        if unread:
            unread.discard(partition)
            if not unread:
                self._values = newest
                self._ready.set()

    def _distrust_all(self, newest: dict[str, Value], error: KafkaError) -> None:
        """A batch is stepped over, record by record; it may have been about any rollout."""
        self._warn(f"Some {self._what} cannot be unpacked and are stepped over: {error.str()}")
        for rollout_id, value in list(newest.items()):
            newest[rollout_id] = self._unreadable(value)

    def _apply(self, newest: dict[str, Value], message: Message) -> None:
        """Note what a message says about its rollout; one without a value deletes it."""
        key, payload = message.key() or b"", message.value()
        rollout_id = key.decode(errors="replace") if isinstance(key, bytes) else key
        previous, value = newest.get(rollout_id), None
        if payload is not None:
            try:
                value = self._value_of(_bytes(payload), _written_at(message))
            except Exception as error:  # whatever it holds, what follows is read
                log.error("The newest %s %s cannot be read: %s", self._record, rollout_id, error)
                value = None if previous is None else self._unreadable(previous)
        if value is None:
            newest.pop(rollout_id, None)
        else:
            newest[rollout_id] = value

    @abstractmethod
    def _value_of(self, payload: bytes, written_at: dt.datetime) -> Value | None:
        """Return what a record says, None where it says nothing. May raise anything."""

    def _unreadable(self, previous: Value) -> Value:
        """Return what counts after a newer record that cannot be read."""
        return previous


def _bytes(payload: bytes | str) -> bytes:
    return payload if isinstance(payload, bytes) else payload.encode()


def _written_at(message: Message) -> dt.datetime:
    """When a record was written. Raises `OverflowError` or `ValueError` for no time at all."""
    _, written_ms = message.timestamp()
    return dt.datetime.fromtimestamp(written_ms / _MS_PER_S, dt.UTC)


def _raise_unless_mended(error: KafkaError) -> None:
    ignored = (*_NOT_NEEDED, *_MENDED_BY_LIBRDKAFKA)
    if error.fatal() or not (error.retriable() or error.code() in ignored):
        raise KafkaException(error)
