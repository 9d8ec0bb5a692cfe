"""Reads `understudy.decisions` and passes each decision on to ClickHouse and to the receivers.

It runs downstream of deciding: it may be slow, away or broken, and no decision waits for it.

- Delivery is at least once. An offset is committed when ClickHouse has stored the decisions before
  it and every receiver has accepted, rejected or given them up; a restart continues from there.
- After a start the topic is read from its beginning. Decisions before the committed offset are not
  delivered again; they only say which alarms fire and what people were notified of. Compaction
  keeps that short.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from understudy.schemas.decisions import decode_decision
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.decision_message import DecisionMessage
from understudy.streams.alerting.delivery import Delivery
from understudy.streams.alerting.drift_alerts import Assignment, DriftAlerts
from understudy.streams.alerting.links import Links
from understudy.streams.alerting.receiver import Receiver
from understudy.streams.alerting.slack import Slack
from understudy.streams.alerting.webhook import Webhook
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import client_opener
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.kafka.access_denied import NOT_ALLOWED, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.client_config import consumer_config, topics
from understudy.streams.kafka.unreadable import is_unreadable, step_over
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import Settings

log = structlog.get_logger(__name__)

POLL_S: Final = 0.2
"""How late an alert may leave; people do not notice."""
COMMIT_INTERVAL_S: Final = 1.0
"""What a crash delivers again: a second of decisions."""
BATCH_AGE_S: Final = 1.0
"""Decisions are few, so that each may have an insert of its own; people look for them at once."""
BATCH_RECORDS: Final = 500
"""Of up to 100 kB each: 50 MB at worst."""
ADMIN_TIMEOUT_S: Final = 15.0
"""For the committed offsets at an assignment; without them decisions would be delivered again."""
CLOSE_TIMEOUT_S: Final = 5.0
"""To store, deliver and commit at a stop; the rest is read again after the next start."""
RESTART_S: Final = 15.0
"""So that what fails at once does not fail all the time."""
BUFFER_BYTES: Final = 64 * 1024 * 1024
"""Decisions are few; beyond it reading pauses until ClickHouse takes them."""


def run_alerting(settings: Settings, stop: threading.Event) -> None:
    """Alert until `stop` is set. Failures are logged, and alerting starts again after a while."""
    while not stop.is_set():
        try:
            _run(settings, stop)
        except Exception as error:
            log.error("alerting.failed", receiver="all", error=str(error) or type(error).__name__)
            stop.wait(RESTART_S)


def receivers_of(settings: Settings) -> list[Receiver]:
    """The configured receivers."""
    receivers: list[Receiver] = []
    alerting = settings.alerting
    links = Links(settings.http.public_url, alerting.external_url)
    if alerting.alertmanager_url:
        receivers.append(Alertmanager(alerting.alertmanager_url, alerting.repeat_s, links))
    if alerting.slack_webhook_url:
        receivers.append(Slack(alerting.slack_webhook_url, links))
    if alerting.webhook_url:
        receivers.append(Webhook(alerting.webhook_url, alerting.webhook_secret, links))
    return receivers


def _run(settings: Settings, stop: threading.Event) -> None:
    with _loading(settings) as loader, _delivering(settings) as deliveries:
        names = [delivery.receiver.name for delivery in deliveries]
        log.info("alerting.started", group=settings.alerting.group_id, receivers=names)
        consumer = DecisionConsumer(settings, loader, deliveries)
        with _looking_for_drift(settings, consumer, deliveries):
            consumer.run(stop)
    log.info("alerting.stopped")


@contextmanager
def _looking_for_drift(
    settings: Settings, consumer: DecisionConsumer, deliveries: Sequence[Delivery]
) -> Iterator[None]:
    """Notify of drift inside the context, where there is somebody to notify."""
    interval_s = settings.clickhouse.drift_interval_s
    if not (deliveries and settings.alerting.drift and interval_s):
        yield
        return
    alerts, stop = DriftAlerts(deliveries, lambda: consumer.rollouts), threading.Event()
    open_connection = partial(ReadConnection, settings.clickhouse.url)
    thread = threading.Thread(
        target=alerts.run, args=(open_connection, interval_s, stop),
        name="understudy-drift-alerts", daemon=True,
    )  # fmt: skip
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(CLOSE_TIMEOUT_S)


@contextmanager
def _loading(settings: Settings) -> Iterator[Loader]:
    policy = LoadPolicy(
        batch_age_s=min(BATCH_AGE_S, settings.clickhouse.batch_age_s),
        buffer_bytes=min(BUFFER_BYTES, settings.clickhouse.buffer_bytes),
    )
    loader = Loader(client_opener(settings.clickhouse.url), policy).start()
    try:
        yield loader
    finally:
        try:
            loader.close(CLOSE_TIMEOUT_S)
        except SinkBroken as error:
            log.error("alerting.store_failed", error=str(error))


@contextmanager
def _delivering(settings: Settings) -> Iterator[list[Delivery]]:
    deliveries = [Delivery(receiver).start() for receiver in receivers_of(settings)]
    try:
        yield deliveries
    finally:
        for delivery in deliveries:
            delivery.close(CLOSE_TIMEOUT_S)


@dataclass(slots=True)
class _Assigned:
    """A partition of the decisions topic that is assigned to this worker."""

    number: int
    """Of the assignment, counted since the start."""
    known_to: int
    """Decisions before this offset were delivered before the start."""
    position: int
    """The next offset to read; decisions before it are stored or queued."""
    committed: int


class DecisionConsumer:
    """A consumer of the decisions topic."""

    def __init__(self, settings: Settings, loader: Loader, deliveries: Sequence[Delivery]) -> None:
        self._topic = topics(settings.kafka).decisions.name
        self._needed = (
            Right("topic", self._topic, "Read"),
            Right("group", settings.alerting.group_id, "Read"),
        )
        self._loader = loader
        self._deliveries = deliveries
        self._assigned: dict[int, _Assigned] = {}
        self._assignments = 0
        self.rollouts: Mapping[str, Assignment] = {}
        """Rollouts that have a decision in the assigned partitions; replaced as a whole, so another
        thread may read it."""
        self._held: list[tuple[Block, int, int]] = []
        """Blocks without room in the buffer, each with its partition and the position after it."""
        self._is_paused = False
        self._is_store_broken = False
        self._config = alerting_consumer_config(settings)
        self._consumer = Consumer(self._config, logger=KAFKA_LOGGER)

    def run(self, stop: threading.Event) -> None:
        """Consume until `stop` is set, then commit what is done and leave the group."""
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        try:
            self._consume(stop)
            self._flush()
        finally:
            self._consumer.close()

    def _consume(self, stop: threading.Event) -> None:
        committed_at = time.monotonic()
        while not stop.is_set():
            self._process(self._consumer.consume(BATCH_RECORDS, POLL_S))
            self._put_held()
            if time.monotonic() - committed_at >= COMMIT_INTERVAL_S:
                self._commit(list(self._assigned))
                committed_at = time.monotonic()

    def _process(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        unreadable: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition()].append(message)  # type: ignore[index]
            elif is_unreadable(message):
                unreadable[message.partition() or 0] = message.offset() or 0
            elif error.fatal() or error.code() in NOT_ALLOWED:
                raise failure_of(error, *self._needed)
            elif error.code() != KafkaError._PARTITION_EOF:
                log.warning("kafka.unavailable", error=error.str())
        for number, batch in by_partition.items():
            if number in self._assigned:
                self._pass_on(number, self._assigned[number], batch)
        for number in unreadable.keys() & self._assigned.keys():
            self._step_over(number, self._assigned[number], unreadable[number])

    def _step_over(self, number: int, assigned: _Assigned, offset: int) -> None:
        """Go on behind a batch that cannot be unpacked, as behind what is no decision."""
        partition = (self._topic, number)
        assigned.position = step_over(self._consumer, self._config, partition, offset)
        self._put(decision_block([]), number, assigned.position)

    def _pass_on(self, number: int, assigned: _Assigned, batch: list[Message]) -> None:
        """Receivers first: people are notified also while ClickHouse is away."""
        read = [decoded for message in batch if (decoded := decode(message)) is not None]
        fresh = [one for one in read if one.offset >= assigned.known_to]
        self._note_rollouts(read, Assignment(number, assigned.number))
        for delivery in self._deliveries:
            for one in read:
                if one.offset >= assigned.known_to:
                    delivery.enqueue(one)
                else:
                    delivery.restore(one)
        assigned.position = batch[-1].offset() + 1  # type: ignore[operator]
        decisions = [(one.decision, one.payload) for one in fresh if one.decision]
        self._put(decision_block(decisions), number, assigned.position)

    def _note_rollouts(self, read: Sequence[DecisionMessage], where: Assignment) -> None:
        """Keep which rollouts are this worker's."""
        known = dict(self.rollouts)
        for one in read:
            if one.decision is None:
                known.pop(one.rollout_id, None)
            else:
                known[one.rollout_id] = where
        if known != self.rollouts:
            self.rollouts = known

    # ClickHouse

    def _put(self, block: Block, number: int, position: int) -> None:
        """Queue a block; while there is no room, pause the partitions."""
        self._held.append((block, number, position))
        self._put_held()
        if self._held:
            self._consumer.pause(self._consumer.assignment())
            self._is_paused = True

    def _put_held(self) -> None:
        while self._held:
            block, number, position = self._held[0]
            try:
                self._put_now(block, number, position)
            except SinkBusy:
                return
            del self._held[0]
        if self._is_paused:
            self._consumer.resume(self._consumer.assignment())
            self._is_paused = False

    def _put_now(self, block: Block, number: int, position: int) -> None:
        """Queue a block. Alerting continues without ClickHouse; what it misses is not committed."""
        if self._is_store_broken or number not in self._assigned:
            return
        try:
            self._loader.put([block], {number: position})
        except SinkBroken as error:
            self._is_store_broken = True
            log.error("alerting.store_failed", error=str(error))

    # Committing

    def _commit(self, numbers: list[int]) -> None:
        done = {n: self._done_to(n) for n in numbers}
        moved = {n: to for n, to in done.items() if to > self._assigned[n].committed}
        if not moved:
            return
        offsets = [TopicPartition(self._topic, n, to) for n, to in moved.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("kafka.unavailable", error=str(error))
            return
        for number, to in moved.items():
            self._assigned[number].committed = to

    def _done_to(self, number: int) -> int:
        """The offset up to which ClickHouse and all receivers are done."""
        pending = [delivery.lowest_pending(number) for delivery in self._deliveries]
        return min([self._loader.flushed(number), *(p for p in pending if p is not None)])

    def _flush(self) -> None:
        """At the stop: store and commit within a few seconds."""
        if not self._is_store_broken:
            self._loader.flush(CLOSE_TIMEOUT_S)
        self._commit(list(self._assigned))

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for committed in consumer.committed(partitions, timeout=ADMIN_TIMEOUT_S):
            at = max(0, committed.offset)
            self._assignments += 1
            self._assigned[committed.partition] = _Assigned(
                self._assignments, known_to=at, position=0, committed=at
            )
        starts = [TopicPartition(p.topic, p.partition, OFFSET_BEGINNING) for p in partitions]
        consumer.incremental_assign(starts)
        # librdkafka remembers that a partition was paused when it was last here
        consumer.resume(starts)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._assigned]
        self._commit(numbers)
        self._drop(numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop([p.partition for p in partitions])

    def _drop(self, numbers: list[int]) -> None:
        """Leave partitions, with the alarms of their rollouts, to another worker."""
        for number in numbers:
            self._assigned.pop(number, None)
            self._loader.clear(number)
            self.rollouts = {
                name: at for name, at in self.rollouts.items() if at.partition != number
            }
            for delivery in self._deliveries:
                delivery.drop_partition(number)


def alerting_consumer_config(settings: Settings) -> dict[str, Any]:
    """As for the consumers of pairing, with a group of its own."""
    return {**consumer_config(settings.kafka), "group.id": settings.alerting.group_id}


def decode(message: Message) -> DecisionMessage | None:
    """Decode a message; None, logged, for what is not a decision."""
    key, payload = message.key(), message.value()
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:
        return None
    try:
        decision = decode_decision(_bytes(payload)) if payload is not None else None
        rollout_id = decision.rollout_id if decision else _bytes(key).decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error(
            "alerting.decision_unreadable", partition=partition, offset=offset, error=str(error)
        )
        return None
    return DecisionMessage(partition, offset, rollout_id, _bytes(payload), decision)


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
