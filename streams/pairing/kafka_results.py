"""What pairing writes to Kafka: window rows and dead letters."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.topics import Topics
from understudy.schemas.windows import Source, WindowRow, WindowsMessage
from understudy.streams.kafka.dead_letter_format import Headers, dead_letter_headers, shortened
from understudy.streams.pairing.records import DeadLetter

MAX_MESSAGE_ROWS: Final = 200
"""Rows that travel in one message; a row takes about 3 kB."""
MAX_MESSAGE_BYTES: Final = 6 * 1024 * 1024
"""Larger messages are cut into two; the topics take 8 MiB."""


class DeliveryFailed(Exception):
    """The broker will not take a message; nothing may be committed past it."""


class Publisher:
    """Window rows and dead letters of this worker; not thread-safe."""

    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topics = topics
        self._failure: str | None = None
        self.dead_letters: Counter[str] = Counter()
        """How many were sent, by reason."""

    def send_rows(
        self,
        rows: Sequence[WindowRow],
        source: Source,
        partition: int,
        version: int,
        watermark_ms: int | None,
    ) -> None:
        """Queue changed rows of a source's partition; all rows of one rollout travel together."""
        watermark = None if watermark_ms is None else from_epoch_ms(watermark_ms)
        for rollout_id, some in _by_rollout(rows):
            self._send_windows(
                WindowsMessage(
                    rollout_id=rollout_id,
                    source=source,
                    partition=partition,
                    version=version,
                    watermark=watermark,
                    rows=some,
                )
            )

    def _send_windows(self, message: WindowsMessage) -> None:
        """Send rows in one message, or in several if they are very large."""
        encoded = msgspec.json.encode(message)
        if len(encoded) > MAX_MESSAGE_BYTES and len(message.rows) > 1:
            middle = len(message.rows) // 2
            for half in (message.rows[:middle], message.rows[middle:]):
                self._send_windows(msgspec.structs.replace(message, rows=half))
        else:
            self._send(self._topics.windows.name, message.rollout_id.encode(), encoded, [])

    def send_dead_letters(self, letters: Iterable[DeadLetter], topic: str, partition: int) -> None:
        """Queue records that could not be used, each with where it came from and why."""
        for letter in letters:
            headers = dead_letter_headers(
                letter.reason, letter.detail, topic, partition, letter.offset, letter.payload
            )
            key, payload = shortened(letter.key, letter.payload)
            self._send(self._topics.dead_letters.name, key, payload, headers)
            self.dead_letters[letter.reason] += 1

    def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        while True:
            self._raise_failure()
            try:
                self._producer.produce(
                    topic, value, key, headers=headers, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = f"{message.topic()}: {error.str()}"

    def flush(self, timeout_s: float) -> bool:
        """Whether everything queued has been delivered in time. Raises `DeliveryFailed`."""
        left = self._producer.flush(timeout_s)
        self._raise_failure()
        return left == 0

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise DeliveryFailed(self._failure)


def _by_rollout(rows: Sequence[WindowRow]) -> Iterator[tuple[str, list[WindowRow]]]:
    groups: dict[str, list[WindowRow]] = defaultdict(list)
    for row in rows:
        groups[row.rollout_id].append(row)
    for rollout_id, group in groups.items():
        for start in range(0, len(group), MAX_MESSAGE_ROWS):
            yield rollout_id, group[start : start + MAX_MESSAGE_ROWS]
