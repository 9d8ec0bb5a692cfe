"""Producing to Kafka: with backpressure, and without losing sight of what the broker refuses.

librdkafka queues messages and reports on each later. `BufferedProducer` waits while that queue is
full and gathers the reports; `send_and_wait` writes one message and returns where it lies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from understudy.streams.kafka.access_denied import AccessDenied, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.connection_errors import ConnectionErrors
from understudy.streams.kafka.dead_letter_format import Headers
from understudy.streams.logs import KAFKA_LOGGER

_FULL_QUEUE_POLL_S: Final = 0.1
"""How long to wait for deliveries, which make room, before trying the queue again."""
_REPORT_GRACE_S: Final = 5.0
"""Longer than librdkafka itself takes to give a message up, so that its report says why."""


class DeliveryFailed(KafkaException):
    """The broker did not take a message; nothing that depends on it may be committed."""

    def __init__(self, topic: str, error: KafkaError) -> None:
        super().__init__(error)
        self.topic = topic

    def __str__(self) -> str:
        return f"{self.topic}: {refusal_text(self.topic, self.args[0])}"


def refusal_text(topic: str, error: KafkaError) -> str:
    """Return why the broker did not take a message for a topic."""
    found = failure_of(error, Right("topic", topic, "Write"))
    return str(found) if isinstance(found, AccessDenied) else error.str()


@contextmanager
def _fatal_errors_of(topic: str) -> Iterator[None]:
    """Turn what confluent-kafka raises for a producer that cannot go on into `DeliveryFailed`.

    A delivery report that is called while it raises ends as `SystemError`. A broker that lets this
    user write to no topic at all refuses to number its messages, which is fatal.
    """
    try:
        yield
    except DeliveryFailed:
        raise
    except KafkaException as error:
        raise DeliveryFailed(topic, error.args[0]) from None
    except SystemError as error:
        if not isinstance(error.__cause__, KafkaException):
            raise
        raise DeliveryFailed(topic, error.__cause__.args[0]) from None


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
        self._fatal: DeliveryFailed | None = None
        self._topic = ""
        """Of the last message, for errors that name none."""
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
        self._topic = topic
        while True:
            self._raise_failure()
            try:
                self._producer.produce(
                    topic, value, key, headers=headers or [], timestamp=timestamp_ms,
                    on_delivery=self._on_delivery,
                )  # fmt: skip
            except BufferError:
                self._make_room()
            except KafkaException as error:  # refused before it was queued, such as for its size
                self._refuse(topic, error.args[0])
                return
            else:
                self._poll(0)
                return

    def _make_room(self) -> None:
        """Have messages sent that librdkafka would still hold back for others to come."""
        with self._noting_fatal_errors():
            self._producer.flush(_FULL_QUEUE_POLL_S)

    def _poll(self, timeout_s: float) -> None:
        with self._noting_fatal_errors():
            self._producer.poll(timeout_s)

    @contextmanager
    def _noting_fatal_errors(self) -> Iterator[None]:
        """Remember why the producer cannot go on: later calls say only that it cannot."""
        try:
            with _fatal_errors_of(self._topic):
                yield
        except DeliveryFailed as error:
            self._fatal = self._failure = error
            raise

    def flush(self, timeout_s: float) -> int:
        """Wait for all deliveries; how many are still open then. Raises `DeliveryFailed`."""
        with self._noting_fatal_errors():
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
        self.refused[refusal_text(topic, error)] += 1
        self._failure = self._failure or DeliveryFailed(topic, error)

    def _raise_failure(self) -> None:
        if self._fatal is not None:
            raise self._fatal
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

    seen = ConnectionErrors()
    own = seen.listening({**config, **_timeout(timeout_s), "linger.ms": 0})
    producer = Producer(own, logger=KAFKA_LOGGER)
    with _fatal_errors_of(topic):
        producer.produce(
            topic, value, key.encode(), timestamp=timestamp_ms, on_delivery=on_delivery
        )
        producer.flush(timeout_s + _REPORT_GRACE_S)
    if not places:
        late = KafkaError(KafkaError._MSG_TIMED_OUT, "the broker did not acknowledge the message")
        raise DeliveryFailed(topic, seen.refusal or (errors[0] if errors else late))
    return places[0]
