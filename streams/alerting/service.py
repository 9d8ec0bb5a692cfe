"""Reads `understudy.decisions` and hands each decision to ClickHouse and to the receivers.

A reader downstream of deciding: it can be slow, away or broken, and no decision waits for it.

- Everything is at least once. An offset is committed when ClickHouse has the decisions before it
  and every receiver has taken, refused or outlived them; a restart goes on from there.
- After a start the topic is read from its beginning. What lies before the committed offset is only
  remembered: which alarms stand, and what people were told. Compaction keeps that short.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from understudy.streams.alerting.delivery import Delivery, Patience, Receiver
from understudy.streams.alerting.notices import Notice
from understudy.streams.alerting.slack import Slack
from understudy.streams.alerting.webhook import Webhook
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrate import client_opener
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.kafka.client_config import consumer_config, topics
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.settings import AlertingSettings, Settings

log = structlog.get_logger(__name__)

POLL_S: Final = 0.2
COMMIT_EVERY_S: Final = 1.0
BATCH_RECORDS: Final = 500
ADMIN_TIMEOUT_S: Final = 15.0
CLOSE_S: Final = 5.0
RESTART_S: Final = 15.0
BUFFER_BYTES: Final = 64 * 1024 * 1024


def run_alerting(settings: Settings, stop: threading.Event) -> None:
    """Alert until told to stop. Whatever fails is logged and begun anew after a while."""
    while not stop.is_set():
        try:
            _run(settings, stop)
        except Exception as error:
            log.error("alerting.failed", receiver="all", error=str(error) or type(error).__name__)
            stop.wait(RESTART_S)


def receivers_of(alerting: AlertingSettings) -> list[Receiver]:
    """The receivers that are configured."""
    receivers: list[Receiver] = []
    link = alerting.external_url
    if alerting.alertmanager_url:
        receivers.append(Alertmanager(alerting.alertmanager_url, alerting.repeat_s, link))
    if alerting.slack_webhook_url:
        receivers.append(Slack(alerting.slack_webhook_url, link))
    if alerting.webhook_url:
        receivers.append(Webhook(alerting.webhook_url, alerting.webhook_secret, link))
    return receivers


def _run(settings: Settings, stop: threading.Event) -> None:
    with _loading(settings) as loader, _delivering(settings.alerting) as deliveries:
        names = [delivery.receiver.name for delivery in deliveries]
        log.info("alerting.started", group=settings.alerting.group_id, receivers=names)
        AlertingConsumer(settings, loader, deliveries).run(stop)
    log.info("alerting.stopped")


@contextmanager
def _loading(settings: Settings) -> Iterator[Loader]:
    policy = LoadPolicy(
        batch_age_s=settings.clickhouse.batch_age_s,
        buffer_bytes=min(BUFFER_BYTES, settings.clickhouse.buffer_bytes),
    )
    loader = Loader(client_opener(settings.clickhouse.url), policy).start()
    try:
        yield loader
    finally:
        try:
            loader.close(CLOSE_S)
        except SinkBroken as error:
            log.error("alerting.not_stored", error=str(error))


@contextmanager
def _delivering(alerting: AlertingSettings) -> Iterator[list[Delivery]]:
    deliveries = [Delivery(one, Patience()).start() for one in receivers_of(alerting)]
    try:
        yield deliveries
    finally:
        for delivery in deliveries:
            delivery.close(CLOSE_S)


@dataclass(slots=True)
class _Assigned:
    """A partition of the decisions topic that this worker reads."""

    known_to: int
    """Decisions before this offset were handed out before the start."""
    position: int
    """The next offset to read; what lies before has been handed out."""
    committed: int


class AlertingConsumer:
    """One reader of the decisions; `run` returns when told to stop."""

    def __init__(self, settings: Settings, loader: Loader, deliveries: Sequence[Delivery]) -> None:
        self._topic = topics(settings.kafka).decisions.name
        self._loader = loader
        self._deliveries = deliveries
        self._assigned: dict[int, _Assigned] = {}
        self._held: list[tuple[Block, int, int]] = []
        """What ClickHouse's buffer has no room for: block, partition and position after it."""
        self._is_paused = False
        self._is_store_broken = False
        self._consumer = Consumer(alerting_consumer_config(settings), logger=KAFKA_LOGGER)

    def run(self, stop: threading.Event) -> None:
        """Read until told to stop, then commit what is done and leave the group."""
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
            self._take(self._consumer.consume(BATCH_RECORDS, POLL_S))
            self._put_held()
            if time.monotonic() - committed_at >= COMMIT_EVERY_S:
                self._commit(list(self._assigned))
                committed_at = time.monotonic()

    def _take(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition()].append(message)  # type: ignore[index]
            elif error.code() != KafkaError._PARTITION_EOF:
                log.warning("kafka.unavailable", error=error.str())
        for number, batch in by_partition.items():
            if number in self._assigned:
                self._hand_out(number, self._assigned[number], batch)

    def _hand_out(self, number: int, assigned: _Assigned, batch: list[Message]) -> None:
        """Receivers first: people are told while ClickHouse is away, too."""
        notices = [notice for message in batch if (notice := notice_of(message)) is not None]
        fresh = [notice for notice in notices if notice.offset >= assigned.known_to]
        for delivery in self._deliveries:
            for notice in notices:
                if notice.offset >= assigned.known_to:
                    delivery.offer(notice)
                else:
                    delivery.recall(notice)
        assigned.position = batch[-1].offset() + 1  # type: ignore[operator]
        told = [(notice.decision, notice.payload) for notice in fresh if notice.decision]
        self._put(decision_block(told), number, assigned.position)

    # ClickHouse

    def _put(self, block: Block, number: int, position: int) -> None:
        """Queue a block; when there is no room, wait with the partitions paused."""
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
        """Alerts go on without ClickHouse; what it misses is not committed."""
        if self._is_store_broken or number not in self._assigned:
            return
        try:
            self._loader.put([block], {number: position})
        except SinkBroken as error:
            self._is_store_broken = True
            log.error("alerting.not_stored", error=str(error))

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
        """Up to where ClickHouse and all receivers are done."""
        unsettled = [delivery.unsettled(number) for delivery in self._deliveries]
        done = [self._loader.flushed(number), *(u for u in unsettled if u is not None)]
        return min(done)

    def _flush(self) -> None:
        """In the end: store and commit what can be within a few seconds."""
        if not self._is_store_broken:
            self._loader.flush(CLOSE_S)
        self._commit(list(self._assigned))

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for committed in consumer.committed(partitions, timeout=ADMIN_TIMEOUT_S):
            at = max(0, committed.offset)
            self._assigned[committed.partition] = _Assigned(known_to=at, position=0, committed=at)
        starts = [TopicPartition(p.topic, p.partition, OFFSET_BEGINNING) for p in partitions]
        consumer.incremental_assign(starts)
        # librdkafka remembers that a partition was paused when it was last here
        consumer.resume(starts)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._assigned]
        self._commit(numbers)
        self._give_up(numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up([p.partition for p in partitions])

    def _give_up(self, numbers: list[int]) -> None:
        """Another worker reads these partitions now and raises their alarms."""
        for number in numbers:
            self._assigned.pop(number, None)
            self._loader.clear(number)
            for delivery in self._deliveries:
                delivery.forget(number)


def alerting_consumer_config(settings: Settings) -> dict[str, Any]:
    """As of the pairing consumers, in a group of its own."""
    return {**consumer_config(settings.kafka), "group.id": settings.alerting.group_id}


def notice_of(message: Message) -> Notice | None:
    """A message as a notice; None, logged, for what is no decision."""
    key, payload = message.key(), message.value()
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:
        return None
    try:
        decision = decode_decision(_bytes(payload)) if payload is not None else None
        rollout_id = decision.rollout_id if decision else _bytes(key).decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.error("alerting.no_decision", partition=partition, offset=offset, error=str(error))
        return None
    return Notice(partition, offset, rollout_id, _bytes(payload), decision)


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
