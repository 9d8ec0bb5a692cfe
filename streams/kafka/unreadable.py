"""Batches that no consumer can unpack, and where they end, so that a reader can step over them.

librdkafka reports such a batch with the offset of its first record and fetches it again for ever.
It does not say where the batch ends; that is found by asking from later offsets on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.streams.kafka.client_config import outside_group
from understudy.streams.kafka.offsets import UNREADABLE, PartitionId

log = structlog.get_logger(__name__)

_ANSWER_S: Final = 15.0
"""For one answer of the broker: longer than a restart takes."""
_POLL_S: Final = 0.1
_RETRY_MS: Final = 10
"""Before librdkafka fetches the batch again, which the search has then long left."""


@dataclass(frozen=True, slots=True)
class UnreadableBatch:
    """Consecutive offsets whose records cannot be unpacked."""

    first: int
    """The first that was asked for; a reader may begin in the middle of a batch."""
    end: int
    """The offset after the last."""
    why: str

    @property
    def records(self) -> int:
        """How many records are lost with it, at most: compaction may have removed some."""
        return self.end - self.first


def is_unreadable(message: Message) -> bool:
    """Whether a consumer reports a batch that it cannot unpack."""
    error = message.error()
    return error is not None and error.code() in UNREADABLE and (message.offset() or 0) >= 0


def unreadable_batch(
    config: Mapping[str, Any], partition: PartitionId, position: int
) -> UnreadableBatch | None:
    """Return the unreadable batch that a reader meets at a position; None where it meets none.

    Raises `KafkaException` when the broker does not answer.
    """
    search = _Search(config, partition)
    try:
        found = search.first_answer(position)
        if found is None or not is_unreadable(found):
            return None
        error = found.error()
        base = found.offset() or 0
        end = search.end(base, max(base, position))
        return UnreadableBatch(max(base, position), end, error.str() if error else "")
    finally:
        search.close()


def step_over(
    consumer: Consumer, config: Mapping[str, Any], partition: PartitionId, position: int
) -> int:
    """Have a consumer go on behind the unreadable batch at a position; where it then is.

    Raises `KafkaException` when the broker does not answer.
    """
    batch = unreadable_batch(config, partition, position)
    if batch is not None:
        log.error("kafka.unreadable", topic=partition[0], partition=partition[1],
                  records=batch.records, offset=batch.first, last_offset=batch.end - 1,
                  why=batch.why)  # fmt: skip
        position = batch.end
    consumer.seek(TopicPartition(*partition, position))
    return position


class _Search:
    """A consumer outside any group that looks at what lies at offsets of one partition."""

    def __init__(self, config: Mapping[str, Any], partition: PartitionId) -> None:
        self._partition = partition
        self._consumer = Consumer(
            {**outside_group(config), "fetch.error.backoff.ms": _RETRY_MS, "log_level": 0}
        )

    def close(self) -> None:
        self._consumer.close()

    def end(self, base: int, inside: int) -> int:
        """Return where the batch ends: in steps that double, then by halving the last step."""
        place = TopicPartition(*self._partition)
        _, high = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)
        step = 1
        while inside + step < high and self._is_inside(inside + step, base):
            inside += step
            step *= 2
        outside = min(inside + step, high)
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if self._is_inside(middle, base):
                inside = middle
            else:
                outside = middle
        return outside

    def _is_inside(self, offset: int, base: int) -> bool:
        answer = self.first_answer(offset)
        return answer is not None and is_unreadable(answer) and answer.offset() == base

    def first_answer(self, offset: int) -> Message | None:
        """Return the first record or unreadable batch from an offset on; None at the end."""
        self._consumer.assign([TopicPartition(*self._partition, offset)])
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None or is_unreadable(message):
                return message
            if error.code() == KafkaError._PARTITION_EOF:
                return None
        raise KafkaException(
            KafkaError(KafkaError._TIMED_OUT, f"nothing at offset {offset} in {_ANSWER_S:g} s")
        )
