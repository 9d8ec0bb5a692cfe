"""The consumer loop: polls, feeds the partitions' states, follows rebalances.

The same loop reads events, feedback and evaluations. What records mean and which windows they
change is decided by the states; what is emitted and committed, by the checkpointer; what happens
while ClickHouse does not keep up, by the backpressure. Recovery is always the same: read again from
what was committed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.windows import Source
from understudy.streams.kafka.access_denied import NOT_ALLOWED, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.unreadable import is_unreadable, unreadable_batch
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.assignment import Assignment, ConsumerTotals, ResultStore
from understudy.streams.pairing.backpressure import Backpressure
from understudy.streams.pairing.checkpoint import Checkpointer, note_acknowledged
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.kafka_results import KafkaResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.record_placement import PlacementCheck
from understudy.streams.pairing.records import RecordBatch
from understudy.streams.pairing.start_position import StartPosition, start_position

log = structlog.get_logger(__name__)

_POLL_S: Final = 0.1
"""Between looks at what librdkafka has fetched: it wakes whoever waits there for every few records,
which at a hundred requests a second costs as much as processing them, and results leave with a
flush anyway. It holds far more than comes in the meantime."""
_IDLE_POLL_S: Final = 0.25
"""The same while nothing comes: how long a rebalance may wait for this worker."""
_GATHERED_MESSAGES: Final = 1_024
"""So many are processed at once, or those that have come when results are flushed: most of what
processing costs at low rates does not depend on how many there are. More would make the flush late,
by 50 ms of processing at most."""
_REQUEST_TIMEOUT_S: Final = 15.0
"""Longer than a broker's restart takes, so that one passes unseen."""
_LOSS_TIMEOUT_S: Final = 1.0
"""Losses can be counted at the next flush as well."""
_REVOKE_DEADLINE_S: Final = 10.0
"""Flush and commit share it; far below the group's rebalance timeout of 5 minutes, after which
this worker would be fenced, and the group stands still meanwhile."""
_QUIET_CHECK_S: Final = 10.0
"""How long a worker reads no record before it asks whether it still may, and between two questions:
longer than a rebalance takes, and a request of a hundred bytes."""
_TOPIC_TIMEOUT_S: Final = 5.0
"""For the answer; the group's shortest session is 6 s."""
_ASSIGN_DEADLINE_S: Final = 60.0
"""A broker that stays away for longer ends the process: its supervisor then shows that."""
_PERMANENT_ERRORS: Final = (
    *NOT_ALLOWED,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INVALID_GROUP_ID,
)
"""What librdkafka would retry for ever without success."""
_MAX_LOGGED_KEY: Final = 100
_MISPLACED: Final = (
    "sides of a pair meet only in the partition of the key rollout_id/conversation_id, or "
    "rollout_id/pair_id without one, by murmur2_random; "
    "correct the gateway's key or partitioner, `understudy doctor` names it"
)


class _Start(NamedTuple):
    """Where a partition's reading begins, and what that follows from."""

    number: int
    committed: int
    """Negative for none."""
    first: int
    end: int
    position: StartPosition

    @property
    def offset(self) -> int:
        """From where on records count."""
        return self.position.offset


RebalanceCallback = Callable[[Consumer, list[TopicPartition]], None]


class PairingConsumer:
    """One worker of the group that reads a topic; `run` returns when `stop` is set."""

    def __init__(
        self,
        consumer_config: Mapping[str, Any],
        topic: str,
        policy: PairingPolicy,
        results: KafkaResults,
        store: ResultStore,
        *,
        state: type[PartitionState] = Partition,
        batch_records: int = 10_000,
        flush_interval_s: float = 1.0,
    ) -> None:
        """Read a topic whose partitions have states of the given kind."""
        self.topic = topic
        self.group_id = str(consumer_config["group.id"])
        self._config = dict(consumer_config)
        self._log = log.bind(topic=topic)
        self._state = state
        self._consumer = Consumer(
            {**consumer_config, "on_commit": self._on_commit, "enable.partition.eof": True},
            logger=KAFKA_LOGGER,
        )
        self._policy = policy
        self._results = results
        self._store = store
        self._batch_records = batch_records
        self._enough = min(_GATHERED_MESSAGES, batch_records)
        self._flush_interval_s = flush_interval_s
        self._stop = threading.Event()
        self._closing = False
        self._failure: Exception | None = None
        self._assigned: dict[int, Assignment] = {}
        self._is_paused = False
        self._gathered: list[Message] = []
        """Read, and not processed yet."""
        self._quiet_since_s = 0.0
        """When a record was last read, or the broker last asked whether one may be."""
        self.totals = ConsumerTotals()
        self._placement = PlacementCheck(self._count_partitions)
        self.totals.placement = self._placement.counts
        self._backpressure = Backpressure(self._consumer, topic, store, self._log)
        self._checkpointer = Checkpointer(
            self._consumer, topic, results, store, self._backpressure, self.totals, self._log
        )

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop, then flush, commit and leave the group.

        Raises whatever makes going on impossible; nothing has then been committed that was not
        stored, and a restart goes on from there.
        """
        self._stop = stop
        self._consumer.subscribe(
            [self.topic],
            on_assign=self._keeping_failures(self._on_assign),
            on_revoke=self._keeping_failures(self._on_revoke),
            on_lost=self._keeping_failures(self._on_lost),
        )
        try:
            self._consume()
            self._release(list(self._assigned))
        finally:
            # After a failure a state may stand in the middle of a batch: closing, which revokes
            # what is left, must not commit it.
            self._assigned.clear()
            self._closing = True
            self._consumer.close()

    def _consume(self) -> None:
        flush_at = time.monotonic() + self._flush_interval_s
        self._quiet_since_s = time.monotonic()
        messages: list[Message] = []
        while not self._stop.is_set():
            self._wait(self._pause_s(messages), flush_at)
            messages = self._consumer.consume(self._batch_records, 0.0)
            self._raise_failure()
            self._gathered += messages
            is_flush_due = time.monotonic() >= flush_at
            if is_flush_due or self._is_enough_gathered(messages):
                self._take_gathered()
            self._backpressure.put_held(list(self._assigned.values()))
            if is_flush_due:
                flush_at = time.monotonic() + self._flush_interval_s
                self.flush()
            self._check_if_quiet(messages)
        self._raise_failure()
        self._take_gathered()

    def _wait(self, pause_s: float, flush_at: float) -> None:
        """Let librdkafka gather records, until results are to be flushed or it is time to stop."""
        left_s = min(pause_s, flush_at - time.monotonic())
        if left_s > 0.0:
            self._stop.wait(left_s)

    def _pause_s(self, messages: list[Message]) -> float:
        """How long to wait before the next look; not at all while there is a backlog."""
        if len(messages) >= self._enough:
            return 0.0
        return _POLL_S if messages or not self._assigned else _IDLE_POLL_S

    def _is_enough_gathered(self, messages: list[Message]) -> bool:
        """Whether gathered messages, of which some came just now, are to be processed at once."""
        return len(self._gathered) >= self._enough or any(map(_is_failure, messages))

    def _take_gathered(self) -> None:
        messages, self._gathered = self._gathered, []
        self._take(messages)

    def _forget_gathered(self, number: int) -> None:
        """Forget what was gathered of a partition; it is read again, by whoever reads it next."""
        self._gathered = [one for one in self._gathered if one.partition() != number]

    def _check_if_quiet(self, messages: list[Message]) -> None:
        """Ask, now and then while no record comes, whether the topic may be read.

        Without the right a group assigns nothing, or librdkafka waits for partitions that it no
        longer sees; of neither it says a word, or says it once, to an earlier assignment.
        """
        now_s = time.monotonic()
        if any(message.error() is None for message in messages):
            self._quiet_since_s = now_s
        elif now_s >= self._quiet_since_s + _QUIET_CHECK_S:
            self._check_topic()
            self._quiet_since_s = time.monotonic()

    def _check_topic(self) -> None:
        """Raise when the topic may not be read; that the broker does not answer is logged."""
        try:
            topic = self._consumer.list_topics(self.topic, timeout=_TOPIC_TIMEOUT_S)
        except KafkaException as error:
            self._report(error.args[0])
            return
        refused = topic.topics[self.topic].error
        if refused is not None:
            self._report(refused)

    @property
    def source(self) -> Source:
        """What it reads."""
        return self._state.source

    @property
    def dead_letters(self) -> Mapping[str, int]:
        """How many it has sent, by reason."""
        return self._results.dead_letters

    @property
    def partitions(self) -> dict[int, PartitionState]:
        """The states of the partitions that this worker owns."""
        return {number: assigned.state for number, assigned in list(self._assigned.items())}

    @property
    def committed(self) -> dict[int, int]:
        """The offset last committed of each partition that this worker owns; negative for none."""
        return {number: assigned.committed for number, assigned in list(self._assigned.items())}

    @property
    def read_to(self) -> dict[int, int]:
        """Up to where each partition is read, with the marks of transactions at its end."""
        return {
            number: max(assigned.state.position, assigned.end_reached)
            for number, assigned in list(self._assigned.items())
        }

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
            "superseded": sum(t.superseded for t in tallies),
            "late": sum(t.late for t in tallies),
            "invalid": sum(t.invalid for t in tallies),
            "skipped": sum(t.skipped for t in tallies),
            "waiting": sum(s.waiting_sides for s in self.partitions.values()),
            "lost_records": self.totals.lost_records,
            "unreadable_records": self.totals.unreadable_records,
            "rewinds": self.totals.rewinds,
        }

    # Taking records

    def _take(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        unreadable: set[int] = set()
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition()].append(message)  # type: ignore[index]
            elif is_unreadable(message):
                unreadable.add(message.partition())  # type: ignore[arg-type]
            elif error.code() == KafkaError._PARTITION_EOF:
                self._note_end(message)
            else:
                self._report(error)
        taken: list[tuple[Assignment, list[Message]]] = []
        for number, batch in by_partition.items():
            assigned = self._assigned.get(number)
            if assigned is not None and self._follows(number, assigned, batch[0]):
                taken.append((assigned, batch))
        if taken:
            self._process(taken)
        for assigned in self._readable():
            if assigned.number in unreadable:
                self._step_over(assigned)

    def _note_end(self, message: Message) -> None:
        """Note where a partition was read to its end: after the position, where marks follow."""
        assigned = self._assigned.get(message.partition() or 0)
        if assigned is not None:
            assigned.end_reached = message.offset() or 0

    def _step_over(self, assigned: Assignment) -> None:
        """Go on behind a batch that cannot be unpacked; later, if the broker does not answer now.

        librdkafka reports it again and again. What it reported may be left over from an earlier
        assignment, or have been stepped over already, so another reader looks at the position.
        """
        number, state = assigned.number, assigned.state
        try:
            batch = unreadable_batch(self._config, (self.topic, number), state.position)
        except KafkaException as error:
            self._log.warning("kafka.unavailable", partition=number, error=str(error))
            return
        if batch is not None:
            outcome = state.pass_unreadable(batch.first, batch.end, batch.why)
            self._results.send_dead_letters(outcome.dead_letters, self.topic, number)
            self.totals.unreadable_records += batch.records
            self._log.error(
                "events.unreadable", partition=number, records=batch.records, offset=batch.first,
                last_offset=batch.end - 1, why=batch.why,
            )  # fmt: skip
        self._seek(number, state.position)

    def _report(self, error: KafkaError) -> None:
        """Log what librdkafka mends by itself; raise what it does not."""
        if error.fatal() or error.code() in _PERMANENT_ERRORS:
            raise self._failure_of(error)
        self._log.warning("kafka.unavailable", error=error.str())

    def _failure_of(self, error: KafkaError) -> KafkaException:
        """Name what is missing, where it is a right."""
        return failure_of(
            error, Right("topic", self.topic, "Read"), Right("group", self.group_id, "Read")
        )

    def _follows(self, number: int, assigned: Assignment, message: Message) -> bool:
        """Whether a message may come next; if not, make sure that the right one does.

        The first after a start may be left over from an earlier assignment. A later one with a
        smaller offset means that the log is another one, such as that of a new topic.
        """
        if assigned.needs_restart:
            self._restart(number)
            return False
        offset: int = message.offset()  # type: ignore[assignment]
        is_unread, assigned.is_unread = assigned.is_unread, False
        if is_unread and offset != assigned.state.position:
            assigned.is_unread = not self._seek(number, assigned.state.position)
            return False
        if offset < assigned.state.position:
            self._log.error("log.went_back", partition=number, position=assigned.state.position,
                      offset=offset)  # fmt: skip
            assigned.needs_restart = True
            self._restart(number)
            return False
        return True

    def _process(self, taken: list[tuple[Assignment, list[Message]]]) -> None:
        """Process the next messages of some partitions, and hand on what they bring."""
        batches = [(one.state, self._records_of(one, messages)) for one, messages in taken]
        output = self._state.process_together(batches)
        for state, records in batches:
            self._check_placement(state.number, records)
            dead_letters = output.batches[state.number].dead_letters
            self._results.send_dead_letters(dead_letters, self.topic, state.number)
        self._backpressure.put_together(
            [assigned for assigned, _ in taken],
            lambda partitions: self._store.put(output.of(partitions)),
        )

    def _records_of(self, assigned: Assignment, messages: list[Message]) -> RecordBatch:
        offsets: list[int] = [m.offset() for m in messages]  # type: ignore[misc]
        self._note_jumps(assigned, offsets)
        if assigned.state.is_truncated:
            self._note_beginning(assigned.state, messages[0])
        return RecordBatch(
            payloads=[m.value() for m in messages],
            offsets=offsets,
            timestamps_ms=[m.timestamp()[1] for m in messages],
            keys=[m.key() for m in messages],
        )

    def _check_placement(self, number: int, records: RecordBatch) -> None:
        """Warn, once in a while, of keys that lie elsewhere than their pairs are looked for."""
        if self.source != "events":  # the others are not joined, and may lie anywhere
            return
        self._placement.look(number, records)
        found = self._placement.warning(time.monotonic())
        if found is not None:
            self._log.warning("keys.misplaced", partition=number, offset=found.offset,
                key=found.key[:_MAX_LOGGED_KEY], expected_key=found.expected_key[:_MAX_LOGGED_KEY],
                expected_partition=found.expected_partition, **asdict(found.counts),
                why=_MISPLACED)  # fmt: skip

    def _count_partitions(self) -> int | None:
        """How many partitions the topic has; None while the broker does not answer."""
        try:
            found = self._consumer.list_topics(self.topic, timeout=_REQUEST_TIMEOUT_S)
        except KafkaException:
            return None
        return len(found.topics[self.topic].partitions) or None

    def _note_jumps(self, assigned: Assignment, offsets: Sequence[int]) -> None:
        """Note where offsets are missing: `_count_lost` asks later, and not at every batch."""
        position = assigned.state.position
        if offsets[-1] + 1 - position == len(offsets):
            return
        before = [position, *(offset + 1 for offset in offsets[:-1])]
        jumps = zip(before, offsets, strict=True)
        assigned.jumps += [(begin, end) for begin, end in jumps if begin < end]

    def _count_lost(self, assigned: Assignment) -> None:
        """Count records that retention deleted before they were read.

        Offsets also jump over the marks of transactions; only what lies below the log's start is
        gone. While the broker does not say where that is, the jumps are kept.
        """
        if not assigned.jumps:
            return
        here = TopicPartition(self.topic, assigned.number)
        try:
            first, _ = self._consumer.get_watermark_offsets(here, timeout=_LOSS_TIMEOUT_S)
        except KafkaException as error:
            self._log.warning("kafka.unavailable", partition=assigned.number, error=str(error))
            return
        lost = sum(max(0, min(first, end) - begin) for begin, end in assigned.jumps)
        assigned.jumps.clear()
        if lost:
            self.totals.lost_records += lost
            self._log.error("events.lost", partition=assigned.number, records=lost,
                      why="deleted by retention before they were read")  # fmt: skip

    def _note_beginning(self, state: PartitionState, first: Message) -> None:
        """Leave out windows that the records before this one may lie in: they are not to be had."""
        complete_from_ms = state.log_begins_at(first.timestamp()[1])
        self._log.error(
            "windows.incomplete", partition=state.number, offset=first.offset(),
            written_from=from_epoch_ms(complete_from_ms).isoformat(),
            why="the log no longer has all records of earlier windows; they are not written",
        )  # fmt: skip

    # Flushing and recovering

    def flush(self) -> None:
        """Emit changed windows, and commit what every sink holds."""
        for assigned in list(self._assigned.values()):
            self._count_lost(assigned)
            if assigned.needs_restart:
                self._restart(assigned.number)
        emitted = self._checkpointer.emit(self._readable())
        try:
            if not self._checkpointer.deliver(emitted, self._stay_in_group):
                return
        finally:
            self._resume()
        self._checkpointer.commit(self._readable())
        for assigned in self._backpressure.to_rewind(self._readable()):
            self._rewind(assigned.number, assigned)

    def _readable(self) -> list[Assignment]:
        """The partitions whose state is of the log that is there."""
        return [one for one in list(self._assigned.values()) if not one.needs_restart]

    def _stay_in_group(self) -> bool:
        """Poll the group, but read nothing more; False when it is time to stop."""
        if self._stop.is_set():
            return False
        self._consumer.pause(self._consumer.assignment())
        self._is_paused = True
        self._take(self._consumer.consume(1, 0.0))
        return True

    def _resume(self) -> None:
        """Read again, after a pause of all partitions, those that are not paused by themselves."""
        if self._is_paused:
            self._is_paused = False
            readable = [p for p in self._consumer.assignment() if self._may_read(p)]
            self._consumer.resume(readable)

    def _may_read(self, place: TopicPartition) -> bool:
        assigned = self._assigned.get(place.partition)
        return assigned is not None and assigned.held is None

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        note_acknowledged(self._assigned, error, places)

    def _rewind(self, number: int, assigned: Assignment) -> None:
        """Start again at the committed offset; later, if that cannot be done now."""
        before = assigned.state
        fresh = self._restart(number)
        if fresh is None:
            return
        fresh.published_before_rewind = max(assigned.published_before_rewind, before.position)
        fresh.state.dead_letters_from = max(
            fresh.state.dead_letters_from, before.dead_letters_from, before.position
        )
        self.totals.rewinds += 1
        self._log.info("clickhouse.back", partition=number, rewound_to=fresh.state.position,
                 from_position=before.position)  # fmt: skip

    def _restart(self, number: int) -> Assignment | None:
        """Let a partition start again; None when it cannot now, and then nothing has changed."""
        try:
            (start,) = self._starts([number], _REQUEST_TIMEOUT_S)
        except KafkaException as error:
            self._log.warning("restart.failed", partition=number, error=str(error))
            return None
        if not self._seek(number, self._reads_from(start)):
            return None
        return self._begin(start)

    def _reads_from(self, start: _Start) -> int:
        return self._state.reads_from(start.offset, start.first)

    def _seek(self, number: int, offset: int) -> bool:
        """Whether the next message will be the one at an offset; not while fetching starts."""
        self._forget_gathered(number)
        try:
            self._consumer.seek(TopicPartition(self.topic, number, offset))
        except KafkaException as error:
            self._log.warning("seek.failed", partition=number, error=str(error))
            return False
        return True

    def _release(self, numbers: list[int]) -> None:
        """Flush and commit some partitions before one deadline, then give them up."""
        assignments = [one for one in self._readable() if one.number in numbers]
        if assignments:
            self._checkpointer.release(assignments, _REVOKE_DEADLINE_S)
        for number in numbers:
            self._drop(number)

    def _drop(self, number: int) -> None:
        self._forget_gathered(number)
        if self._assigned.pop(number, None) is not None:
            self._store.clear(number)

    # Rebalancing

    def _keeping_failures(self, callback: RebalanceCallback) -> RebalanceCallback:
        """A callback that raises nothing into librdkafka: the loop does, and closes in order."""

        def call(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            try:
                callback(consumer, partitions)
            except Exception as error:
                self._failure = self._failure or error

        return call

    def _raise_failure(self) -> None:
        """Raise what failed in a rebalance."""
        if self._failure is not None:
            raise self._failure

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions over, unless it is closing time: the group then answers no questions."""
        if self._closing:
            return
        found = self._starts_with_retries([partition.partition for partition in partitions])
        if found is None:
            return
        starts = []
        for start in found:
            assigned = self._begin(start)
            starts.append(TopicPartition(self.topic, assigned.number, assigned.state.position))
        consumer.incremental_assign(starts)
        # librdkafka remembers that a partition was paused when it was last here
        consumer.resume(starts)
        self._log.info("partitions.assigned", partitions=[p.partition for p in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._assigned]
        self._release(numbers)
        self._log.info("partitions.revoked", partitions=numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._drop(partition.partition)
        self._log.warning("partitions.lost", partitions=[p.partition for p in partitions])

    def _starts_with_retries(self, numbers: list[int]) -> list[_Start] | None:
        """As `_starts`, while the broker comes back; None when told to stop meanwhile."""
        deadline = time.monotonic() + _ASSIGN_DEADLINE_S
        while True:
            try:
                return self._starts(numbers, _REQUEST_TIMEOUT_S)
            except KafkaException as error:
                if time.monotonic() > deadline or error.args[0].code() in NOT_ALLOWED:
                    raise self._failure_of(error.args[0]) from None
                self._log.warning("start.failed", partitions=numbers, error=str(error))
                if self._stop.wait(_POLL_S):
                    return None

    def _starts(self, numbers: list[int], timeout_s: float) -> list[_Start]:
        """Where to begin: at what was committed, or at the beginning of the log. Changes nothing.

        Raises `KafkaException`, at the latest when the time for all partitions together is over.
        """
        deadline = time.monotonic() + timeout_s
        places = [TopicPartition(self.topic, number) for number in numbers]
        starts = []
        for committed in self._consumer.committed(places, timeout=timeout_s):
            if committed.error is not None:
                raise KafkaException(committed.error)
            here = TopicPartition(self.topic, committed.partition)
            left_s = max(_POLL_S, deadline - time.monotonic())
            first, end = self._consumer.get_watermark_offsets(here, timeout=left_s)
            metadata = CommitMetadata.decode(committed.metadata)
            position = start_position(committed.offset, metadata, first, end)
            starts.append(_Start(committed.partition, committed.offset, first, end, position))
        return starts

    def _begin(self, start: _Start) -> Assignment:
        """Take a partition over, or let it start again, with a state of nothing but the start."""
        number, position = start.number, start.position
        self._forget_gathered(number)
        self._store.clear(number)
        if position.is_beyond_end:
            self._log.error("offset.beyond_end", partition=number, committed=start.committed,
                            end=start.end)  # fmt: skip
        if position.is_committed_gone:
            self.totals.lost_records += position.lost_records
            self._log.error(
                "events.lost", partition=number, records=position.lost_records,
                earliest=start.first, committed=start.committed,
                why="retention deleted the committed offset",
            )  # fmt: skip
        state = self._state(
            number, self._policy, start_offset=position.offset, resumed=position.metadata,
            is_truncated=position.is_truncated,
        )  # fmt: skip
        state.begin_reading_at(self._reads_from(start))
        fresh = Assignment(state, committed=start.committed)
        self._assigned[number] = fresh
        return fresh


def _is_failure(message: Message) -> bool:
    """Whether it tells of an error, which the end of a partition is not."""
    error = message.error()
    return error is not None and error.code() != KafkaError._PARTITION_EOF
