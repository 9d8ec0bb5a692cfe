"""Producing to Kafka: with backpressure, and without losing sight of what the broker refuses.

librdkafka queues messages and reports on each later. `BufferedProducer` waits while that queue is
full and gathers the reports; `send_and_wait` writes one message and returns where it lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from understudy.streams.kafka.dead_letter_format import Headers
from understudy.streams.logs import KAFKA_LOGGER

_FULL_QUEUE_POLL_S: Final = 0.1
"""How long to wait for delivery reports, which make room, before trying the queue again."""
_REPORT_GRACE_S: Final = 5.0
"""Longer than librdkafka itself takes to give a message up, so that its report says why."""


class DeliveryFailed(KafkaException):
    """The broker did not take a message; nothing that depends on it may be committed."""

    def __init__(self, topic: str, error: KafkaError) -> None:
        super().__init__(error)
        self.topic = topic

    def __str__(self) -> str:
        return f"{self.topic}: {self.args[0].str()}"


class BufferedProducer:
    """Messages on their way to the broker, with a count of their fates; not thread-safe."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        delivery_timeout_s: float | None = None,
        raise_refusals: bool = True,
    ) -> None:
        """Give up a message after `delivery_timeout_s`, where given.

        Without `raise_refusals` what the broker refuses is only counted.
        """
        self._producer = Producer({**config, **_timeout(delivery_timeout_s)}, logger=KAFKA_LOGGER)
        self._raises = raise_refusals
        self._failure: DeliveryFailed | None = None
        self.delivered: Counter[str] = Counter()
        """Messages that the broker has, by topic."""
        self.refused: Counter[str] = Counter()
        """Messages that it did not take, by reason."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | str | None = None,
        *,
        headers: Headers | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Queue a message; wait while the queue is full. Raises an earlier `DeliveryFailed`."""
        while True:
            self._raise_failure()
            try:
                self._producer.produce(
                    topic, value, key, headers=headers or [], timestamp=timestamp_ms,
                    on_delivery=self._on_delivery,
                )  # fmt: skip
            except BufferError:
                self._producer.poll(_FULL_QUEUE_POLL_S)
            except KafkaException as error:  # refused before it was queued, such as for its size
                self._refuse(topic, error.args[0])
                return
            else:
                self._producer.poll(0)
                return

    def flush(self, timeout_s: float) -> int:
        """Wait for all deliveries; how many are still open then. Raises `DeliveryFailed`."""
        left = self._producer.flush(timeout_s)
        self._raise_failure()
        return left

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        topic = message.topic() or ""
        if error is None:
            self.delivered[topic] += 1
        else:
            self._refuse(topic, error)

    def _refuse(self, topic: str, error: KafkaError) -> None:
        self.refused[error.str()] += 1
        self._failure = self._failure or DeliveryFailed(topic, error)

    def _raise_failure(self) -> None:
        if self._raises and self._failure is not None:
            raise self._failure


def _timeout(timeout_s: float | None) -> dict[str, int]:
    return {} if timeout_s is None else {"message.timeout.ms": int(timeout_s * 1000)}


def send_and_wait(
    config: Mapping[str, Any],
    topic: str,
    value: bytes | None,
    key: str,
    *,
    timeout_s: float,
    timestamp_ms: int = 0,
) -> tuple[int, int]:
    """Write one message at once; its partition and offset. Raises `DeliveryFailed`."""
    places: list[tuple[int, int]] = []
    errors: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is None:
            places.append((message.partition() or 0, message.offset() or 0))
        else:
            errors.append(error)

    producer = Producer({**config, **_timeout(timeout_s), "linger.ms": 0}, logger=KAFKA_LOGGER)
    producer.produce(topic, value, key.encode(), timestamp=timestamp_ms, on_delivery=on_delivery)
    producer.flush(timeout_s + _REPORT_GRACE_S)
    if not places:
        late = KafkaError(KafkaError._MSG_TIMED_OUT, "the broker did not acknowledge the message")
        raise DeliveryFailed(topic, errors[0] if errors else late)
    return places[0]
