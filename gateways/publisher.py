"""Writes events to Kafka from a process that serves users.

Nothing here may reach the served path: `publish` copies the events into librdkafka's queue and
returns; a thread of librdkafka sends them. The queue is bounded in bytes. When it is full, because
Kafka is slow or away, whole requests are dropped and counted: the sides of one request are queued
all or not at all, since half a request would count as an answer that got lost.

What is queued never expires, for the same reason: of two sides only one might.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from understudy.gateways.after_fork import begin_after_forks, leave_to_parent, release
from understudy.gateways.event_bytes import event_bytes
from understudy.gateways.privacy import Privacy
from understudy.gateways.redaction_queue import RedactionQueue
from understudy.gateways.request_journal import (
    AbandonedJournal,
    RequestJournal,
    RequestOutline,
    abandoned_journals,
    outline_of,
)
from understudy.schemas.evaluations import Evaluation, check_evaluation, evaluation_key
from understudy.schemas.events import MAX_EVENT_BYTES, Event, event_key
from understudy.schemas.feedback import Feedback, feedback_key
from understudy.schemas.topics import (
    DEFAULT_PREFIX,
    JAVA_PARTITIONERS,
    PARTITIONER,
    understudy_topics,
)

log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES: Final = 64 * 1_048_576
"""Half a minute of 1 000 events a second of 2 kB: a broker's restart passes without a loss."""
DEFAULT_EXIT_TIMEOUT_S: Final = 5.0
"""Kubernetes kills a process 30 s after it asked it to stop; most of that belongs to requests."""
_MAX_MESSAGE_BYTES: Final = 2 * 1_048_576
"""What the topic of events accepts: an event at its limit, its key and Kafka's own bytes."""
_REPORTS_EVERY_S: Final = 0.05
"""How often delivery reports are taken: they make room in the queue, and each takes the GIL."""
_WARN_EVERY_S: Final = 60.0
"""How often a log line says that events are being dropped."""
_KIBIBYTE: Final = 1024

_RECOVER_EVERY_S: Final = 5.0
"""How often journals of killed processes are looked for: far within the join timeout."""

OnEnd = Callable[[], None]


class _Message(NamedTuple):
    """What is handed to librdkafka."""

    topic: str
    key: bytes
    value: bytes
    on_end: OnEnd | None = None
    """Called when Kafka has the message, or will not get it."""


def publisher_config(config: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """Return librdkafka's settings: those of the caller over ours, but for the partitioner.

    Duplicates by a repeated attempt are counted as such and change nothing, so the producer is not
    idempotent: an idempotent one can fail for good, and a gateway is not restarted for that.
    """
    if config.get("partitioner", PARTITIONER) not in JAVA_PARTITIONERS:
        raise ValueError(
            f"partitioner must be {PARTITIONER}: both sides of a request must reach one partition"
        )
    return {
        "client.id": "understudy-gateway",
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "max.in.flight": 1,
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        "message.timeout.ms": 0,
        "queue.buffering.max.kbytes": max(1, max_bytes // _KIBIBYTE),
        "queue.buffering.max.messages": 0,
        **config,
        "partitioner": PARTITIONER,
    }


class Publisher:
    """Events on their way to Kafka, in one process.

    Any thread may call it, and an event loop: nothing waits but `flush` and `close`. After a fork
    the child has a queue and counters of its own, and the parent sends what it had queued.
    """

    _journal: RequestJournal | None

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        topic_prefix: str = DEFAULT_PREFIX,
        max_bytes: int = DEFAULT_MAX_BYTES,
        max_event_bytes: int = MAX_EVENT_BYTES,
        exit_timeout_s: float = DEFAULT_EXIT_TIMEOUT_S,
        privacy: Privacy | None = None,
        journal: Path | str | None = None,
    ) -> None:
        """Connect in the background with librdkafka's settings, `bootstrap.servers` at least.

        `privacy` says what of prompts and answers leaves; without it all of them do. What is to be
        redacted first waits for that in a queue of its own. `max_bytes` bounds each queue. At the
        end of the process they are flushed for at most `exit_timeout_s`. `journal` is a folder
        that outlives the process, such as one on `/dev/shm`: requests that a SIGKILL cuts off are
        then published as dropped by whichever process of this machine uses the folder next. Raises
        `KafkaException`, `ValueError` or `OSError` for settings that cannot be.
        """
        names = understudy_topics(topic_prefix)
        self._events_topic, self._feedback_topic = names.events.name, names.feedback.name
        self._evaluations_topic = names.evaluations.name
        self._config = publisher_config(config, max_bytes)
        self._max_bytes = max_bytes
        self._max_event_bytes = max_event_bytes
        self._exit_timeout_s = exit_timeout_s
        self._privacy = privacy
        self._journal_folder = None if journal is None else Path(journal)
        self._warned_at_s = -_WARN_EVERY_S
        self._is_closed = self._is_purging = False
        self._begin()
        if self._journal_folder is not None:
            self._journal = RequestJournal(self._journal_folder)
        self._start()
        _publishers.add(self)
        begin_after_forks(self)

    def _begin(self) -> None:
        """The state of a process that has published nothing."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer: Producer | None = None
        self._journal = None
        self._abandoned: list[AbandonedJournal] = []
        self._redaction = RedactionQueue(self._publish, self._max_bytes)
        self._rest: deque[_Message] = deque()
        """Sides of a request whose first sides are queued already: they go before all others."""
        self.published = 0
        """Messages that were taken."""
        self.delivered = 0
        """Of these, those that Kafka has."""
        self.failed = 0
        """Of these, those that Kafka refused, or that were given up at the end."""
        self.dropped = 0
        """Messages that were not taken: the queue was full, or they could not be written."""

    def _start(self) -> Producer:
        if self._journal_folder is not None and self._journal is None:
            try:
                self._journal = RequestJournal(self._journal_folder)
            except OSError as error:
                self._warn(f"There is no journal: {error}")
        self._producer = Producer(self._config, logger=log)
        self._thread = threading.Thread(
            target=self._take_reports,
            args=(self._producer, self._stop),
            name="understudy-publisher",
            daemon=True,
        )
        self._thread.start()
        return self._producer

    def begin(self, outline: RequestOutline) -> None:
        """Note in the journal, if there is one, that a request has begun. Never waits or raises.

        `publish` ends it, and notes by itself a request that nobody began.
        """
        if self._journal_folder is None or self._is_closed:
            return
        try:
            if self._producer is None:  # in the child of a fork
                with self._lock:
                    self._producer or self._start()
            if self._privacy is not None:
                name = self._privacy.conversation_id(outline.conversation_id)
                outline = msgspec.structs.replace(outline, conversation_id=name)
            if self._journal is not None:
                self._journal.begin(outline)
        except Exception:
            self._warn("A request could not be noted in the journal", exc_info=True)

    def publish(self, *events: Event) -> bool:
        """Queue all sides of one request; False where they were dropped. Never waits or raises."""
        if self._privacy is None or not self._privacy.redacts:
            return self._publish(events)
        try:
            self._note(events)
            if self._redaction.put(events):
                return True
            self._drop(len(events))
        except Exception:
            self._drop(len(events), exc_info=True)
        self._end_notes(events)
        return False

    def _publish(self, events: Sequence[Event]) -> bool:
        try:
            self._note(events)
            is_queued = self._queue([self._event_message(event) for event in events])
        except Exception:
            self._drop(len(events), exc_info=True)
            is_queued = False
        if not is_queued:  # it is counted, as dropped
            self._end_notes(events)
        return is_queued

    def _note(self, events: Sequence[Event]) -> None:
        if self._journal_folder is not None and events:
            self.begin(outline_of(events[0], tuple(event.side for event in events)))

    def _end_notes(self, events: Sequence[Event]) -> None:
        if self._journal is not None:
            for event in events:
                self._journal.end((event.rollout_id, event.pair_id), event.side)

    def publish_feedback(self, *ratings: Feedback) -> bool:
        """Queue ratings of answers; False where they were dropped. Never waits or raises."""
        try:
            return self._queue([self._feedback_message(rating) for rating in ratings])
        except Exception:
            self._drop(len(ratings), exc_info=True)
            return False

    def publish_evaluations(self, *evaluations: Evaluation) -> bool:
        """Queue choices between two answers, or scores; False where they were dropped.

        Never waits or raises. What a worker would refuse is dropped and logged.
        """
        try:
            return self._queue([self._evaluation_message(one) for one in evaluations])
        except Exception:
            self._drop(len(evaluations), exc_info=True)
            return False

    def flush(self, timeout_s: float) -> bool:
        """Wait until Kafka has all that was published; whether it has.

        From an event loop, call it in a thread: `await asyncio.to_thread(publisher.flush, 5.0)`.
        """
        deadline_s = time.monotonic() + timeout_s
        if not self._redaction.flush(timeout_s):
            return False
        return self._flush_queue(deadline_s)

    def _flush_queue(self, deadline_s: float) -> bool:
        producer = self._producer
        if producer is None:
            return True
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            with self._lock:
                is_queued = self._queue_rest(producer)
            if producer.flush(left_s) == 0 and is_queued and not self._rest:
                return True
            if time.monotonic() >= deadline_s:
                return False

    def close(self, timeout_s: float | None = None) -> bool:
        """Flush, at most for `timeout_s` or `exit_timeout_s`, and take nothing more.

        Returns whether Kafka has all that was published. What it has not is counted as failed.
        """
        timeout_s = self._exit_timeout_s if timeout_s is None else timeout_s
        deadline_s = time.monotonic() + timeout_s
        is_redacted = self._redaction.close(timeout_s)
        with self._lock:
            if self._is_closed:
                return self.failed == 0
            self._is_closed = True
        is_flushed = self._flush_queue(deadline_s) and is_redacted
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        producer, self._producer = self._producer, None
        if producer is not None and not is_flushed:
            self._is_purging = True
            self.failed += len(self._rest)
            self._rest.clear()
            producer.purge()
            producer.poll(0)
        if producer is not None:
            release(producer)
        journals, self._journal, self._abandoned = self._journals(), None, []
        for journal in journals:
            journal.close()
        if not is_flushed:
            log.warning("Kafka did not take %d messages before the end", self.failed)
        return is_flushed

    # Messages

    def _event_message(self, event: Event) -> _Message:
        if self._privacy is not None:
            event = self._privacy.protect(event)
        on_end: OnEnd | None = None
        if (journal := self._journal) is not None:
            on_end = partial(journal.end, (event.rollout_id, event.pair_id), event.side)
        return self._message_of(event, on_end)

    def _message_of(self, event: Event, on_end: OnEnd | None) -> _Message:
        key = event_key(event).encode(errors="replace")
        value = event_bytes(event, self._max_event_bytes)
        return _Message(self._events_topic, key, value, on_end)

    def _feedback_message(self, rating: Feedback) -> _Message:
        if self._privacy is not None:
            name = self._privacy.conversation_id(rating.conversation_id)
            rating = msgspec.structs.replace(rating, conversation_id=name)
        key, value = feedback_key(rating).encode(), msgspec.json.encode(rating)
        return _Message(self._feedback_topic, key, value)

    def _evaluation_message(self, evaluation: Evaluation) -> _Message:
        check_evaluation(evaluation)
        if self._privacy is not None:
            name = self._privacy.conversation_id(evaluation.conversation_id)
            # An explanation may quote the answers.
            evaluation = msgspec.structs.replace(evaluation, conversation_id=name, explanation=None)
        key, value = evaluation_key(evaluation).encode(), msgspec.json.encode(evaluation)
        return _Message(self._evaluations_topic, key, value)

    # The queue

    def _queue(self, messages: Sequence[_Message]) -> bool:
        with self._lock:
            if self._is_closed or not messages:
                self.dropped += len(messages)
                return False
            producer = self._producer or self._start()
            is_queued = self._queue_rest(producer) and self._queue_all(producer, messages)
            if is_queued:
                self.published += len(messages)
        if not is_queued:
            self._drop(len(messages))
        return is_queued

    def _queue_all(self, producer: Producer, messages: Sequence[_Message]) -> bool:
        """Queue a request; what finds no room behind its first message waits for some."""
        if not self._produce(producer, messages[0]):
            return False
        self._rest.extend(messages[1:])
        self._queue_rest(producer)
        return True

    def _queue_rest(self, producer: Producer) -> bool:
        """Queue what waits for room; whether all of it is queued."""
        while self._rest:
            try:
                if not self._produce(producer, message := self._rest[0]):
                    return False
            except KafkaException as error:  # it will never be taken, and holds up what follows
                self.failed += 1
                if message.on_end is not None:
                    message.on_end()
                self._warn(f"A message was refused, {self.failed} have failed so far: {error}")
            self._rest.popleft()
        return True

    def _produce(self, producer: Producer, message: _Message) -> bool:
        """Hand one message to librdkafka; False where its queue is full."""
        reports: Callable[[KafkaError | None, Message], None] = self._on_delivery
        if message.on_end is not None:
            reports = partial(self._on_noted_delivery, message.on_end)
        try:
            producer.produce(message.topic, message.value, message.key, on_delivery=reports)
        except BufferError:
            return False
        return True

    def _drop(self, messages: int, *, exc_info: bool = False) -> None:
        self.dropped += messages
        why = "they cannot be written" if exc_info else "the queue is full, or it is closed"
        self._warn(f"Events are dropped, {self.dropped} so far: {why}", exc_info=exc_info)

    def _warn(self, text: str, *, exc_info: bool = False) -> None:
        now_s = time.monotonic()
        if now_s - self._warned_at_s >= _WARN_EVERY_S:
            self._warned_at_s = now_s
            log.warning(text, exc_info=exc_info)

    # Delivery reports

    def _take_reports(self, producer: Producer, stop: threading.Event) -> None:
        recover_at_s = 0.0
        while not stop.wait(_REPORTS_EVERY_S):
            try:
                producer.poll(0)
                if self._rest:
                    with self._lock:
                        self._queue_rest(producer)
                if self._journal is not None and time.monotonic() >= recover_at_s:
                    recover_at_s = time.monotonic() + _RECOVER_EVERY_S
                    self._recover()
            except Exception:
                self._warn("Delivery reports or a journal could not be read", exc_info=True)

    def _recover(self) -> None:
        """Publish as dropped what killed processes had begun; again, where that did not arrive."""
        if self._journal_folder is None:
            return
        finished = [one for one in self._abandoned if not one.outlines]
        self._abandoned = [one for one in self._abandoned if one.outlines]
        for abandoned in finished:
            abandoned.close()
        self._abandoned += abandoned_journals(self._journal_folder)
        for abandoned in self._abandoned:
            for outline in abandoned.unsent():
                if self._queue(self._dropped_messages(outline, partial(abandoned.end, outline))):
                    abandoned.mark_sent(outline)

    def _dropped_messages(self, outline: RequestOutline, on_end: OnEnd) -> list[_Message]:
        *others, last = outline.dropped()
        return [*(self._message_of(event, None) for event in others),
                self._message_of(last, on_end)]  # fmt: skip

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.delivered += 1
            return
        self.failed += 1
        if not self._is_closed:
            self._warn(f"Kafka refused messages, {self.failed} so far: {error.str()}")

    def _on_noted_delivery(self, end: OnEnd, error: KafkaError | None, message: Message) -> None:
        """Of a side in a journal: Kafka refused it, so it is counted, or has it."""
        self._on_delivery(error, message)
        if not self._is_purging:
            end()

    def _journals(self) -> list[RequestJournal | AbandonedJournal]:
        own = [] if self._journal is None else [self._journal]
        return [*own, *self._abandoned]

    # Processes

    def begin_in_child(self) -> None:
        """After a fork: leave the parent's queue to the parent, and begin with an empty one."""
        if self._producer is not None:
            leave_to_parent(self._producer)
        for journal in self._journals():
            journal.leave_to_parent()
        self._begin()


_publishers: Final[weakref.WeakSet[Publisher]] = weakref.WeakSet()


def _close_all() -> None:
    for publisher in list(_publishers):
        publisher.close()


atexit.register(_close_all)
