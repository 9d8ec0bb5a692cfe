"""The consumer loop: polls, feeds partitions, flushes sinks, commits what is safe.

The same loop reads events and feedback; all decisions about records and windows are those of the
partitions' states. What stands here is what can fail: the broker, ClickHouse, a rebalance. Recovery
is always the same: read again from what was committed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.schemas.windows import Source, WindowRow
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.commit_rule import CommitMetadata, SafeCommit
from understudy.streams.pairing.kafka_results import KafkaResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition import Partition
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.records import BatchOutput, RecordBatch

log = structlog.get_logger(__name__)

POLL_S: Final = 0.1
DELIVERY_S: Final = 1.0
ADMIN_TIMEOUT_S: Final = 15.0
REVOKE_DEADLINE_S: Final = 10.0
ASSIGN_DEADLINE_S: Final = 60.0
STORE_AWAY_S: Final = 1.0
"""How long a partition that goes waits for a store that takes nothing anyway."""
BROKER_AWAY_S: Final = 2.0
"""And for a broker to answer at all."""

NOTHING_YET: Final = -1
_HOPELESS: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INVALID_GROUP_ID,
)


class ResultStore(Protocol):
    """Where comparisons, unmatched sides and window rows go: ClickHouse."""

    def put(self, partition: int, outcome: BatchOutput) -> None:
        """Queue what a batch brought. Raises `SinkBusy` when the buffer is full."""

    def put_rows(self, partition: int, rows: list[WindowRow], position: int) -> None:
        """Queue window rows; all before `position` has then been queued. Raises `SinkBusy`."""

    def stored(self, partition: int) -> int:
        """The position up to which everything queued has been stored; -1 when nothing has."""

    def clear(self, partition: int) -> None:
        """The partition starts again or has gone; what was stored counts no more."""

    def flush(self, deadline_s: float) -> bool:
        """Whether everything queued has been stored in time."""

    @property
    def healthy(self) -> bool:
        """Whether the last insert succeeded."""

    @property
    def inserts(self) -> int:
        """How many inserts have succeeded."""


@dataclass(slots=True)
class _Assigned:
    """A partition that this worker owns."""

    state: PartitionState
    committed: int
    kept: tuple[int, str | None] | None = None
    """The commit that the group is known to have: offset and metadata."""
    published: int = NOTHING_YET
    """Where the rows stood that the broker has taken, with all dead letters before."""
    published_before: int = NOTHING_YET
    """Rows up to here went out before a rewind; nobody waits for what is read again."""
    fresh: bool = True
    """Nothing has been read yet since the start or a rewind."""
    missing_results: bool = False
    """Results were left out while the store was away; to be read again."""
    inserts_then: int = 0
    """How many inserts had succeeded when results were left out."""
    held: Callable[[], None] | None = None
    """What the store has no room for; the partition is paused until it does."""


@dataclass(slots=True)
class ConsumerTotals:
    """What this worker has done since it started."""

    lost_records: int = 0
    rewinds: int = 0
    commits: int = 0


class PairingConsumer:
    """One worker of the group that reads a topic; `run` returns when `stop` is set."""

    def __init__(
        self,
        consumer_config: Mapping[str, Any],
        topic: str,
        policy: PairingPolicy,
        publisher: KafkaResults,
        store: ResultStore,
        *,
        state: type[PartitionState] = Partition,
        batch_records: int = 10_000,
        flush_interval_s: float = 1.0,
    ) -> None:
        """Read a topic whose partitions have states of the given kind."""
        self.topic = topic
        self.group_id = str(consumer_config["group.id"])
        self._log = log.bind(topic=topic)
        self._state = state
        self._consumer = Consumer(
            {**consumer_config, "on_commit": self._on_commit}, logger=KAFKA_LOGGER
        )
        self._policy = policy
        self._publisher = publisher
        self._store = store
        self._batch_records = batch_records
        self._flush_interval_s = flush_interval_s
        self._stop = threading.Event()
        self._closing = False
        self._assigned: dict[int, _Assigned] = {}
        self.totals = ConsumerTotals()

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop, then flush, commit and leave the group.

        Raises whatever makes going on impossible; nothing has then been committed that was not
        stored, and a restart goes on from there.
        """
        self._stop = stop
        self._consumer.subscribe(
            [self.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        try:
            self._consume()
            self._settle(list(self._assigned), time.monotonic() + REVOKE_DEADLINE_S)
        finally:
            # After a failure a state may stand in the middle of a batch: closing, which revokes
            # what is left, must not commit it.
            self._assigned.clear()
            self._closing = True
            self._consumer.close()

    def _consume(self) -> None:
        flush_at = time.monotonic() + self._flush_interval_s
        while not self._stop.is_set():
            wait_s = min(POLL_S, max(0.0, flush_at - time.monotonic()))
            self._take(self._consumer.consume(self._batch_records, wait_s))
            self._put_held()
            if time.monotonic() >= flush_at:
                flush_at = time.monotonic() + self._flush_interval_s
                self.flush()

    @property
    def source(self) -> Source:
        """What it reads."""
        return self._state.source

    @property
    def dead_letters(self) -> Mapping[str, int]:
        """How many it has sent, by reason."""
        return self._publisher.dead_letters

    @property
    def partitions(self) -> dict[int, PartitionState]:
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
            if assigned is not None and self._follows(number, assigned, batch[0]):
                self._process(number, assigned, batch)

    def _report(self, error: KafkaError) -> None:
        """Log what librdkafka mends by itself; raise what it does not."""
        if error.fatal() or error.code() in _HOPELESS:
            raise KafkaException(error)
        self._log.warning("kafka.unavailable", error=error.str())

    def _follows(self, number: int, assigned: _Assigned, message: Message) -> bool:
        """Whether a message may come next; if not, make sure that the right one does.

        The first after a start may be left over from an earlier assignment. A later one with a
        smaller offset means that the log is another one, such as that of a new topic.
        """
        offset: int = message.offset()  # type: ignore[assignment]
        fresh, assigned.fresh = assigned.fresh, False
        if fresh and offset != assigned.state.position:
            assigned.fresh = not self._seek(number, assigned.state.position)
            return False
        if offset < assigned.state.position:
            self._log.error("log.went_back", partition=number, position=assigned.state.position,
                      offset=offset)  # fmt: skip
            self._restart(number)
            return False
        return True

    def _process(self, number: int, assigned: _Assigned, messages: list[Message]) -> None:
        state = assigned.state
        offsets: list[int] = [m.offset() for m in messages]  # type: ignore[misc]
        self._note_gaps(state, offsets)
        outcome = state.process(
            RecordBatch(
                payloads=[m.value() for m in messages],
                offsets=offsets,
                timestamps_ms=[m.timestamp()[1] for m in messages],
                keys=[m.key() for m in messages],
            )
        )
        self._publisher.send_dead_letters(outcome.dead_letters, self.topic, number)
        self._put(number, assigned, partial(self._store.put, number, outcome))

    def _note_gaps(self, state: PartitionState, offsets: Sequence[int]) -> None:
        """Count records that retention deleted before they were read.

        Offsets also jump over the marks of transactions; only what lies below the log's start is
        gone.
        """
        if offsets[-1] + 1 - state.position == len(offsets):
            return
        here = TopicPartition(self.topic, state.number)
        low, _ = self._consumer.get_watermark_offsets(here, timeout=ADMIN_TIMEOUT_S)
        gone_to = min(low, offsets[-1] + 1)
        lost = gone_to - state.position - sum(offset < gone_to for offset in offsets)
        if lost > 0:
            self.totals.lost_records += lost
            self._log.error("events.lost", partition=state.number, records=lost,
                      why="deleted by retention before they were read")  # fmt: skip

    # Putting results

    def _put(self, number: int, assigned: _Assigned, put: Callable[[], None]) -> None:
        """Hand results to the store. If it is full, go on without them, or wait.

        To wait is right while a rewind reads again what has been published: no decision depends
        on it, and going on would only fill the buffer up to the same place again and again.
        """
        if assigned.missing_results:
            return
        try:
            put()
        except SinkBusy:
            if self._store.healthy and assigned.state.position <= assigned.published_before:
                assigned.held = put
                self._consumer.pause([TopicPartition(self.topic, number)])
            else:
                self._leave_out_results(number, assigned)

    def _put_held(self) -> None:
        """Try again what the store had no room for."""
        for number, assigned in list(self._assigned.items()):
            if assigned.held is not None:
                put, assigned.held = assigned.held, None
                self._put(number, assigned, put)
                if assigned.held is None:
                    self._consumer.resume([TopicPartition(self.topic, number)])

    def _leave_out_results(self, number: int, assigned: _Assigned) -> None:
        """Go on without ClickHouse; when it is back, read again from the committed offset."""
        assigned.missing_results = True
        assigned.inserts_then = self._store.inserts
        self._log.warning("clickhouse.behind", partition=number, since=assigned.state.position)

    # Flushing and committing

    def flush(self) -> None:
        """Emit changed windows, and commit what every sink holds."""
        emitted = self._emit(list(self._assigned))
        if not self._deliver():
            return
        _note_published(emitted)
        self._commit(list(self._assigned))
        self._rewind_if_possible()

    def _emit(self, numbers: list[int]) -> list[tuple[_Assigned, int]]:
        """Queue changed rows; the partitions of which all has been queued, and up to where."""
        emitted = []
        for number in numbers:
            assigned = self._assigned[number]
            if assigned.held is not None:
                continue
            state = assigned.state
            rows = state.take_rows()
            self._publisher.send_rows(
                rows, state.source, number, state.position, state.watermark_ms
            )
            self._put(number, assigned, partial(self._store.put_rows, number, rows, state.position))
            emitted.append((assigned, state.position))
        return emitted

    def _deliver(self) -> bool:
        """Wait until the broker has all messages; False when told to stop meanwhile.

        Until then nothing more is consumed, but the worker stays in the group.
        """
        if self._publisher.flush(DELIVERY_S):
            return True
        try:
            while not self._publisher.flush(DELIVERY_S):
                if self._stop.is_set():
                    return False
                self._consumer.pause(self._consumer.assignment())
                self._log.warning(
                    "kafka.undelivered", why="the broker does not take messages; waiting"
                )
                self._take(self._consumer.consume(1, 0.0))
        finally:
            self._consumer.resume([p for p in self._consumer.assignment() if self._may_read(p)])
        return True

    def _may_read(self, place: TopicPartition) -> bool:
        assigned = self._assigned.get(place.partition)
        return assigned is not None and assigned.held is None

    def _commit(self, numbers: list[int], *, deadline: float | None = None) -> None:
        """Commit, for each partition, the offset that its rule calls safe, unless it has been.

        With a deadline it waits for the answer, if there is anybody who gives one. To commit again
        what the group has kept would be no use, and closing waits long for an answer to it.
        """
        commits: list[TopicPartition] = []
        for number in numbers:
            assigned = self._assigned[number]
            flushed_to = min(assigned.published, self._store.stored(number))
            safe = assigned.state.safe_commit(flushed_to)
            if safe is not None:
                commit = self._commit_of(number, safe)
                if assigned.kept != (commit.offset, commit.metadata):
                    commits.append(commit)
                assigned.committed = safe.offset
        if not commits or (deadline is not None and not self._group_answers(commits, deadline)):
            return
        try:
            if deadline is None:
                self._consumer.commit(offsets=commits, asynchronous=True)
            else:
                self._consumer.commit(offsets=commits, asynchronous=False)
        except KafkaException as error:
            self._log.warning("commit.failed", error=str(error))
        else:
            self.totals.commits += 1

    def _group_answers(self, places: list[TopicPartition], deadline: float) -> bool:
        """Whether a commit can succeed: one that is waited for knows no time limit."""
        left_s = max(0.0, deadline - time.monotonic())
        asked = [TopicPartition(place.topic, place.partition) for place in places]
        try:
            self._consumer.committed(asked, timeout=min(BROKER_AWAY_S, left_s))
        except KafkaException as error:
            self._log.warning("commit.failed", error=str(error))
            return False
        return True

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Note what the group has kept; what failed is tried again with the next flush."""
        for place in places:
            assigned = self._assigned.get(place.partition)
            if assigned is not None and error is None and place.error is None:
                assigned.kept = (place.offset, place.metadata)

    def _commit_of(self, number: int, safe: SafeCommit) -> TopicPartition:
        return TopicPartition(self.topic, number, safe.offset, metadata=safe.metadata.encode())

    def _rewind_if_possible(self) -> None:
        """Read again what ClickHouse missed, once it takes inserts again."""
        if not self._store.healthy:
            return
        for number, assigned in list(self._assigned.items()):
            if assigned.missing_results and self._store.inserts > assigned.inserts_then:
                self._rewind(number, assigned)

    def _rewind(self, number: int, assigned: _Assigned) -> None:
        """Start again at the committed offset; later, if that cannot be done now."""
        before = assigned.state
        fresh = self._restart(number)
        if fresh is None:
            return
        fresh.published_before = max(assigned.published_before, before.position)
        fresh.state.dead_letters_from = max(
            fresh.state.dead_letters_from, before.dead_letters_from, before.position
        )
        self.totals.rewinds += 1
        self._log.info("clickhouse.back", partition=number, rewound_to=fresh.state.position,
                 from_position=before.position)  # fmt: skip

    def _restart(self, number: int) -> _Assigned | None:
        """Let a partition start again; None when it cannot now."""
        try:
            fresh = self._start(number)
        except KafkaException as error:
            self._log.warning("restart.failed", partition=number, error=str(error))
            return None
        if not self._seek(number, fresh.state.position):
            return None
        self._assigned[number] = fresh
        return fresh

    def _seek(self, number: int, offset: int) -> bool:
        """Whether the next message will be the one at an offset; not while fetching starts."""
        try:
            self._consumer.seek(TopicPartition(self.topic, number, offset))
        except KafkaException as error:
            self._log.warning("seek.failed", partition=number, error=str(error))
            return False
        return True

    def _settle(self, numbers: list[int], deadline: float) -> None:
        """Flush and commit some partitions before one deadline, then let them go."""
        if not numbers:
            return
        emitted = self._emit(numbers)
        delivered = self._publisher.flush(max(0.0, deadline - time.monotonic()))
        patience_s = REVOKE_DEADLINE_S if self._store.healthy else STORE_AWAY_S
        stored = self._store.flush(max(0.0, min(patience_s, deadline - time.monotonic())))
        if not (delivered and stored):
            self._log.warning("flush.incomplete", delivered=delivered, stored=stored)
        if delivered:
            _note_published(emitted)
            self._commit(numbers, deadline=deadline)
        for number in numbers:
            self._drop(number)

    def _drop(self, number: int) -> None:
        assigned = self._assigned.pop(number, None)
        if assigned is not None:
            self._store.clear(number)

    # Rebalancing

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions over, unless it is closing time: the group then answers no questions."""
        if self._closing:
            return
        starts = []
        for partition in partitions:
            assigned = self._start_patiently(partition.partition)
            if assigned is None:
                return
            self._assigned[partition.partition] = assigned
            starts.append(TopicPartition(self.topic, partition.partition, assigned.state.position))
        consumer.incremental_assign(starts)
        # librdkafka remembers that a partition was paused when it was last here
        consumer.resume(starts)
        self._log.info("partitions.assigned", partitions=[p.partition for p in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._assigned]
        self._settle(numbers, time.monotonic() + REVOKE_DEADLINE_S)
        self._log.info("partitions.revoked", partitions=numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._drop(partition.partition)
        self._log.warning("partitions.lost", partitions=[p.partition for p in partitions])

    def _start_patiently(self, number: int) -> _Assigned | None:
        """As `_start`, while the broker comes back; None when told to stop meanwhile."""
        deadline = time.monotonic() + ASSIGN_DEADLINE_S
        while True:
            try:
                return self._start(number)
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise
                self._log.warning("start.failed", partition=number, error=str(error))
                if self._stop.wait(POLL_S):
                    return None

    def _start(self, number: int) -> _Assigned:
        """The state to begin with: what was committed, or the beginning of the log."""
        self._store.clear(number)
        here = TopicPartition(self.topic, number)
        committed = self._consumer.committed([here], timeout=ADMIN_TIMEOUT_S)[0]
        if committed.error is not None:
            raise KafkaException(committed.error)
        low, high = self._consumer.get_watermark_offsets(here, timeout=ADMIN_TIMEOUT_S)
        metadata = CommitMetadata.decode(committed.metadata)
        offset = committed.offset
        if offset < 0 or offset > high:
            if offset > high:
                self._log.error("offset.beyond_end", partition=number, committed=offset, end=high)
            offset, metadata = low, None
        elif offset < low:
            offset, metadata = self._after_loss(number, low, offset, metadata)
        elif metadata is not None:
            metadata = metadata.mark_closed(self._policy)
        state = self._state(number, self._policy, start_offset=offset, resumed=metadata)
        return _Assigned(state, committed=offset)

    def _after_loss(
        self, number: int, low: int, committed: int, metadata: CommitMetadata | None
    ) -> tuple[int, CommitMetadata | None]:
        """The committed offset is gone: go on where all had been flushed, count what is lost.

        Windows that were open there cannot be rebuilt; their rows stay as they were flushed.
        """
        position = metadata.position if metadata else committed
        lost = max(0, low - position) + (metadata.waiting_sides if metadata else 0)
        self.totals.lost_records += lost
        self._log.error("events.lost", partition=number, records=lost, committed=committed,
                        earliest=low, why="retention deleted the committed offset")  # fmt: skip
        start = max(low, position)
        if metadata is None:
            return start, None
        return start, CommitMetadata(
            closed_until_ms=metadata.watermark_ms,
            position=start,
            watermark_ms=metadata.watermark_ms,
        )


def _note_published(emitted: list[tuple[_Assigned, int]]) -> None:
    for assigned, position in emitted:
        assigned.published = position
