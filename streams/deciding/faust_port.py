"""Faust's side of the decision processor's ports: its topics, its table, its consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import faust
from faust.types import TP

from understudy.schemas.topics import Topics
from understudy.streams.deciding.faust_patches.unreadable_batches import UnreadableValue
from understudy.streams.deciding.ports import InputMessage, RetriableSendError
from understudy.streams.deciding.state_store import look_request
from understudy.streams.kafka.dead_letter_format import dead_letter_headers, shortened
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.kafka.unreadable import UnreadableBatch

Table = Any
"""Faust's `TableT`, whose `changelog_topic` and `data` are not typed."""


class FaustMessage:
    """An event of a Faust stream whose acknowledgement is ours."""

    def __init__(self, event: Any) -> None:
        self._event = event
        message = event.message
        self.topic: str = message.topic
        self.partition: int = message.partition
        self.home: int = _home(event)
        self.offset: int = message.offset
        self.timestamp_ms: int = round(1000 * message.timestamp)
        self.key: bytes | None = event.key
        self.value: bytes | None = event.value
        self.unreadable: UnreadableBatch | None = None
        if isinstance(event.value, UnreadableValue):
            self.value, self.unreadable = None, event.value.batch

    def acknowledge(self) -> None:
        """Let Faust commit its offset, when those before it are acknowledged, too."""
        self._event.ack()

    def abandon(self) -> None:
        """Have Faust not wait for it: without this a rebalance would, for as long as it takes."""
        self._event.app.consumer.unacked.discard(self._event.message)


class FaustPort:
    """A decision log, a checkpoint store and the offsets of records, of one Faust app."""

    def __init__(self, app: faust.App, names: Topics, table: Table) -> None:
        self._app = app
        self._table = table
        self.windows = self._raw_topic(names.windows.name)
        self.rollouts = self._raw_topic(names.rollouts.name)
        self._decisions = self._raw_topic(names.decisions.name)
        self._dead_letters = self._raw_topic(names.dead_letters.name)
        self._rollouts_name = names.rollouts.name
        self._windows_name = names.windows.name

    def _raw_topic(self, name: str) -> Any:
        """Bytes as they are, deletions included."""
        return self._app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
            allow_empty=True,
        )  # fmt: skip

    # DecisionLog

    async def emit(self, key: bytes, decision: bytes | None) -> None:
        """Write a decision; None deletes the rollout's."""
        await _send(self._decisions, key=key, value=decision)

    async def ask_for_look(self, key: bytes, partition: int) -> None:
        """Write a message of windows without rows where the others of the rollout are."""
        await _send(self.windows, key=key, value=look_request(key), partition=partition)

    async def write_dead_letter(self, message: InputMessage, reason: str, detail: str) -> None:
        """Write a message that could not be used, as pairing writes its own."""
        offset = message.unreadable.first if message.unreadable else message.offset
        headers = dead_letter_headers(
            reason, detail, message.topic, message.partition, offset, message.value
        )
        key, value = shortened(message.key, message.value)
        if key is None and value is None:
            key = b""  # aiokafka sends no message without both
        await _send(self._dead_letters, key=key, value=value, headers=headers)

    # CheckpointStore

    @property
    def snapshots(self) -> Mapping[bytes, bytes]:
        """Faust's table."""
        return cast(Mapping[bytes, bytes], self._table)

    async def save(self, partition: int, writes: Mapping[bytes, bytes | None]) -> None:
        """To the changelog first, then to the table.

        Not by `table[key] = …`, which does not wait for the broker, and needs a stream's event.
        """
        sent = [self._write(partition, key, value) for key, value in writes.items()]
        for result in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _write(self, partition: int, key: bytes, value: bytes | None) -> None:
        await _send(
            self._table.changelog_topic, key=key, value=value, partition=partition,
            key_serializer="raw", value_serializer="raw",
        )  # fmt: skip
        if value is None:
            self._table.data.pop(key, None)
        else:
            self._table.data[key] = value

    # RecordOffsets

    async def end_offset(self, partition: int) -> int:
        """The offset after the last record; 0 where retention or compaction has left none."""
        place = TP(self._rollouts_name, partition)
        end = (await self._app.consumer.highwaters(place))[place] or 0
        begin = (await self._app.consumer.earliest_offsets(place))[place] or 0
        return end if end > begin else 0

    def committed_offset(self, partition: int) -> int:
        """The offset that the group has committed."""
        return self._committed(TP(self._rollouts_name, partition))

    # Lags

    async def window_lags(self, applied: Mapping[tuple[str, int], int]) -> Mapping[int, int] | None:
        """Messages of windows still to apply, by partition held; None while Kafka is away."""
        consumer = self._app.consumer
        try:
            held = {place for place in consumer.assignment() if place.topic == self._windows_name}
            if not held:
                return {}
            ends = await consumer.highwaters(*held)
            done = {
                place: max(self._committed(place), applied.get((place.topic, place.partition), 0))
                for place in held
            }
            waiting = [place for place in held if (ends[place] or 0) > done[place]]
            begins = await consumer.earliest_offsets(*waiting) if waiting else {}
        except Exception:  # not started yet, or the broker is away: nothing can move
            return None
        return {
            place.partition: max(0, (ends[place] or 0) - max(done[place], begins.get(place) or 0))
            for place in held
        }

    def _committed(self, place: TP) -> int:
        """What Faust knows of it since it last sought or committed."""
        committed: dict[TP, int | None] = cast(Any, self._app.consumer)._committed_offset
        return committed.get(place) or 0


def _home(event: Any) -> int:
    """Where a key belongs; where it lies while the number of partitions is not known."""
    message = event.message
    partitions = event.app.consumer.topic_partitions(message.topic)
    return partition_of(event.key, partitions) if event.key and partitions else message.partition


async def _send(topic: Any, **message: Any) -> None:
    """Wait until the broker has a message. Raises `RetriableSendError`, or what aiokafka raises."""
    try:
        await (await topic.send(**message))
    except Exception as error:
        cause = error.__cause__ or error  # Faust wraps what aiokafka raises
        if getattr(cause, "retriable", False):
            raise RetriableSendError(f"{topic.get_topic_name()}: {cause!r}") from error
        raise
