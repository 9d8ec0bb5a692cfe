"""What pairing sends to Kafka: window rows and dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from understudy.schemas.topics import Topics
from understudy.streams.kafka.dead_letter_format import dead_letter_headers, shortened
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.pairing.records import DeadLetter
from understudy.streams.pairing.windows_messages import ChangedRows, windows_messages


class KafkaResults:
    """Window rows and dead letters of one worker on their way to Kafka; not thread-safe.

    Every call raises `DeliveryFailed` once the broker has refused a message: nothing may be
    committed past it.
    """

    def __init__(self, producer: BufferedProducer, topics: Topics) -> None:
        self._producer = producer
        self._topics = topics
        self.dead_letters: Counter[str] = Counter()
        """How many were sent, by reason."""

    def send_rows(self, changed: Iterable[ChangedRows]) -> None:
        """Queue changed rows of partitions; rows of one rollout and partition travel together."""
        for message, encoded in windows_messages(changed):
            self._producer.send(self._topics.windows.name, encoded, message.rollout_id.encode())

    def send_dead_letters(self, letters: Iterable[DeadLetter], topic: str, partition: int) -> None:
        """Queue records that could not be used, each with its position and the reason."""
        for letter in letters:
            headers = dead_letter_headers(
                letter.reason, letter.detail, topic, partition, letter.offset, letter.payload
            )
            key, payload = shortened(letter.key, letter.payload)
            self._producer.send(self._topics.dead_letters.name, payload, key, headers=headers)
            self.dead_letters[letter.reason] += 1

    def flush(self, timeout_s: float) -> bool:
        """Whether everything queued has been delivered in time."""
        return self._producer.flush(timeout_s) == 0
