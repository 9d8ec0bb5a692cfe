"""The consumer loop: polls, feeds partitions, flushes sinks, commits what is safe.

All decisions about pairs and windows are `Partition`'s. What stands here is what can fail: the
broker, ClickHouse, a rebalance. Recovery is always the same: read again from what was committed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.schemas.windows import WindowRow
from understudy.streams.loading.errors import SinkBusy
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.offsets import CommitMetadata, SafeCommit
from understudy.streams.pairing.partition import Partition
from understudy.streams.pairing.policy import PairingPolicy
from understudy.streams.pairing.publishing import Publisher
from understudy.streams.pairing.records import Outcome, RecordBatch

log = structlog.get_logger(__name__)

POLL_S: Final = 0.1
ADMIN_TIMEOUT_S: Final = 15.0
REVOKE_DEADLINE_S: Final = 20.0


class ResultStore(Protocol):
    """Where comparisons, unmatched sides and window rows go: ClickHouse."""

    def put(self, partition: int, outcome: Outcome) -> None:
        """Queue what a batch brought. Raises `SinkBusy` when the buffer is full."""

    def put_rows(self, partition: int, rows: list[WindowRow], position: int) -> None:
        """Queue window rows; all before `position` has then been queued. Raises `SinkBusy`."""

    def stored(self, partition: int) -> int:
        """The position up to which everything queued has been stored; -1 when nothing has."""

    def forget(self, partition: int) -> None:
        """The partition starts again or has gone; what was stored counts no more."""

    def flush(self, deadline_s: float) -> bool:
        """Whether everything queued has been stored in time."""

    @property
    def healthy(self) -> bool:
        """Whether the last insert succeeded."""


@dataclass(slots=True)
class _Assigned:
    """A partition that this worker owns."""

    state: Partition
    committed: int
    published: int
    missing_results: bool = False
    """Results were left out while the store was away; to be read again."""


@dataclass(slots=True)
class ConsumerTotals:
    """What this worker has done since it started."""

    lost_records: int = 0
    rewinds: int = 0
    commits: int = 0


class PairingConsumer:
    """One worker of the pairing group; `run` returns when `stop` is set."""

    def __init__(
        self,
        consumer_config: Mapping[str, Any],
        topic: str,
        policy: PairingPolicy,
        publisher: Publisher,
        store: ResultStore,
        *,
        batch_records: int = 10_000,
        flush_interval_s: float = 1.0,
    ) -> None:
        self._consumer = Consumer(dict(consumer_config), logger=KAFKA_LOGGER)
        self._topic = topic
        self._policy = policy
        self._publisher = publisher
        self._store = store
        self._batch_records = batch_records
        self._flush_interval_s = flush_interval_s
        self._assigned: dict[int, _Assigned] = {}
        self.totals = ConsumerTotals()

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop, then flush, commit and leave the group.

        Raises whatever makes going on impossible; nothing has then been committed that was not
        stored, and a restart goes on from there.
        """
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        try:
            flushed_at = time.monotonic()
            while not stop.is_set():
                self._take(self._consumer.consume(self._batch_records, POLL_S))
                if time.monotonic() - flushed_at >= self._flush_interval_s:
                    self.flush()
                    flushed_at = time.monotonic()
            self._settle(list(self._assigned), time.monotonic() + REVOKE_DEADLINE_S)
        finally:
            self._consumer.close()

    @property
    def partitions(self) -> dict[int, Partition]:
        """The states of the partitions that this worker owns."""
        return {number: assigned.state for number, assigned in list(self._assigned.items())}

    @property
    def committed(self) -> dict[int, int]:
        """The offset last committed of each partition that this worker owns; negative for none."""
        return {number: assigned.committed for number, assigned in list(self._assigned.items())}

    @property
    def member_id(self) -> str:
        """This worker's name in the group; empty before it has one and after it has left."""
        try:
            return self._consumer.memberid() or ""
        except RuntimeError:  # closed
            return ""

    def progress(self) -> dict[str, int]:
        """Counts for a log line: the partitions held now, and what was lost since the start."""
        tallies = [state.tally for state in self.partitions.values()]
        return {
            "partitions": len(tallies),
            "read": sum(t.read for t in tallies),
            "pairs": sum(t.pairs for t in tallies),
            "single": sum(t.single for t in tallies),
            "unmatched": sum(t.unmatched for t in tallies),
            "duplicate": sum(t.duplicate for t in tallies),
            "late": sum(t.late for t in tallies),
            "invalid": sum(t.invalid for t in tallies),
            "waiting": sum(s.waiting_sides for s in self.partitions.values()),
            "lost_records": self.totals.lost_records,
            "rewinds": self.totals.rewinds,
        }

    # Taking records

    def _take(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition()].append(message)  # type: ignore[index]
            elif error.code() != KafkaError._PARTITION_EOF:
                self._report(error)
        for number, batch in by_partition.items():
            assigned = self._assigned.get(number)
            if assigned is not None:
                self._process(number, assigned, batch)

    @staticmethod
    def _report(error: KafkaError) -> None:
        """Log what librdkafka mends by itself; raise what it does not."""
        if error.fatal() or not error.retriable():
            if error.code() in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT,
                                KafkaError.UNKNOWN_TOPIC_OR_PART):  # fmt: skip
                log.warning("kafka.unavailable", error=error.str())
                return
            raise KafkaException(error)
        log.warning("kafka.retrying", error=error.str())

    def _process(self, number: int, assigned: _Assigned, messages: list[Message]) -> None:
        state = assigned.state
        offsets: list[int] = [m.offset() for m in messages]  # type: ignore[misc]
        self._note_gap(state, offsets[0])
        outcome = state.process(
            RecordBatch(
                payloads=[m.value() for m in messages],
                offsets=offsets,
                timestamps_ms=[m.timestamp()[1] for m in messages],
                keys=[m.key() for m in messages],
            )
        )
        self._publisher.send_dead_letters(outcome.dead_letters, self._topic, number)
        if assigned.missing_results:
            return
        try:
            self._store.put(number, outcome)
        except SinkBusy:
            self._leave_out_results(number, assigned)

    def _note_gap(self, state: Partition, first_offset: int) -> None:
        """Count records that retention deleted before they were read.

        Offsets also jump over the marks of transactions; only what lies below the log's start is
        gone.
        """
        if first_offset <= state.position:
            return
        here = TopicPartition(self._topic, state.number)
        low, _ = self._consumer.get_watermark_offsets(here, cached=True)
        lost = min(low, first_offset) - state.position
        if lost > 0:
            self.totals.lost_records += lost
            log.error("events.lost", partition=state.number, records=lost,
                      why="deleted by retention before they were read")  # fmt: skip

    def _leave_out_results(self, number: int, assigned: _Assigned) -> None:
        """Go on without ClickHouse; when it is back, read again from the committed offset."""
        assigned.missing_results = True
        log.warning("clickhouse.behind", partition=number, since=assigned.state.position)

    # Flushing and committing

    def flush(self) -> None:
        """Emit changed windows, and commit what every sink holds."""
        for number, assigned in list(self._assigned.items()):
            self._emit(number, assigned)
        while not self._publisher.flush(POLL_S * 10):
            self._wait_for_broker()
        for assigned in self._assigned.values():
            assigned.published = assigned.state.position
        self._commit(list(self._assigned), asynchronous=True)
        self._rewind_if_possible()

    def _emit(self, number: int, assigned: _Assigned) -> None:
        state = assigned.state
        rows = state.take_rows()
        self._publisher.send_rows(rows, number, state.position, state.watermark_ms)
        if assigned.missing_results:
            return
        try:
            self._store.put_rows(number, rows, state.position)
        except SinkBusy:
            self._leave_out_results(number, assigned)

    def _wait_for_broker(self) -> None:
        """Stop consuming, but stay in the group, while messages cannot be delivered."""
        held = self._consumer.assignment()
        self._consumer.pause(held)
        log.warning("kafka.undelivered", why="the broker does not take messages; waiting")
        self._take(self._consumer.consume(1, 0.0))
        self._consumer.resume([p for p in held if p.partition in self._assigned])

    def _commit(self, numbers: list[int], *, asynchronous: bool) -> None:
        """Commit, for each partition, the offset that its rule calls safe."""
        commits: list[TopicPartition] = []
        for number in numbers:
            assigned = self._assigned[number]
            flushed_to = min(assigned.published, self._store.stored(number))
            safe = assigned.state.safe_commit(flushed_to)
            if safe is not None and not assigned.missing_results:
                commits.append(self._commit_of(number, safe))
                assigned.committed = safe.offset
        if not commits:
            return
        if asynchronous:
            self._consumer.commit(offsets=commits, asynchronous=True)
        else:
            self._consumer.commit(offsets=commits, asynchronous=False)
        self.totals.commits += 1

    def _commit_of(self, number: int, safe: SafeCommit) -> TopicPartition:
        return TopicPartition(self._topic, number, safe.offset, metadata=safe.metadata.encode())

    def _rewind_if_possible(self) -> None:
        """Read again what ClickHouse missed, once it takes inserts again."""
        if not any(a.missing_results for a in self._assigned.values()) or not self._store.flush(0):
            return
        if not self._store.healthy:
            return
        for number, assigned in self._assigned.items():
            if assigned.missing_results:
                self._rewind(number, assigned)

    def _rewind(self, number: int, assigned: _Assigned) -> None:
        position = assigned.state.position
        fresh = self._start(number)
        fresh.state.dead_letters_from = max(fresh.state.dead_letters_from, position)
        self._assigned[number] = fresh
        self._consumer.seek(TopicPartition(self._topic, number, fresh.state.position))
        self.totals.rewinds += 1
        log.info("clickhouse.back", partition=number, rewound_to=fresh.state.position,
                 from_position=position)  # fmt: skip

    def _settle(self, numbers: list[int], deadline: float) -> None:
        """Flush and commit some partitions before one deadline, then let them go."""
        for number in numbers:
            self._emit(number, self._assigned[number])
        delivered = self._publisher.flush(max(0.0, deadline - time.monotonic()))
        stored = self._store.flush(max(0.0, deadline - time.monotonic()))
        if delivered:
            for number in numbers:
                self._assigned[number].published = self._assigned[number].state.position
        if not (delivered and stored):
            log.warning("flush.incomplete", delivered=delivered, stored=stored)
        try:
            self._commit(numbers, asynchronous=False)
        except KafkaException as error:
            log.warning("commit.failed", error=str(error))
        for number in numbers:
            self._drop(number)

    def _drop(self, number: int) -> None:
        assigned = self._assigned.pop(number, None)
        if assigned is not None:
            self._store.forget(number)

    # Rebalancing

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = []
        for partition in partitions:
            assigned = self._start(partition.partition)
            self._assigned[partition.partition] = assigned
            starts.append(TopicPartition(self._topic, partition.partition, assigned.state.position))
        consumer.incremental_assign(starts)
        log.info("partitions.assigned", partitions=[p.partition for p in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._assigned]
        self._settle(numbers, time.monotonic() + REVOKE_DEADLINE_S)
        log.info("partitions.revoked", partitions=numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._drop(partition.partition)
        log.warning("partitions.lost", partitions=[p.partition for p in partitions])

    def _start(self, number: int) -> _Assigned:
        """The state to begin with: what was committed, or the beginning of the log."""
        self._store.forget(number)
        here = TopicPartition(self._topic, number)
        committed = self._consumer.committed([here], timeout=ADMIN_TIMEOUT_S)[0]
        low, high = self._consumer.get_watermark_offsets(here, timeout=ADMIN_TIMEOUT_S)
        metadata = CommitMetadata.decode(committed.metadata)
        offset = committed.offset
        if offset < 0 or offset > high:
            if offset > high:
                log.error("offset.beyond_end", partition=number, committed=offset, end=high)
            offset, metadata = low, None
        elif offset < low:
            offset, metadata = self._after_loss(number, low, offset, metadata)
        state = Partition(number, self._policy, start_offset=offset, resumed=metadata)
        return _Assigned(state, committed=offset, published=-1)

    def _after_loss(
        self, number: int, low: int, committed: int, metadata: CommitMetadata | None
    ) -> tuple[int, CommitMetadata | None]:
        """The committed offset is gone: go on where all had been flushed, count what is lost.

        Windows that were open there cannot be rebuilt; their rows stay as they were flushed.
        """
        position = metadata.position if metadata else committed
        lost = max(0, low - position) + (metadata.waiting_sides if metadata else 0)
        self.totals.lost_records += lost
        log.error("events.lost", partition=number, records=lost, committed=committed, earliest=low,
                  why="retention deleted the committed offset")  # fmt: skip
        start = max(low, position)
        if metadata is None:
            return start, None
        return start, CommitMetadata(
            settled_until_ms=metadata.watermark_ms,
            position=start,
            watermark_ms=metadata.watermark_ms,
        )
