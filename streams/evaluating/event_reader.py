"""Reads events for evaluation: a consumer group of its own, so that pairing never waits for it.

Offsets are committed once all that lies before them is finished and its records are with the
broker. The thread that asks the judge hands what it has finished over in a queue.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Final, Protocol

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from understudy.schemas.evaluations import (
    Evaluation,
    evaluation_identity,
    evaluation_key,
    evaluation_time_ms,
    evaluator_reference,
    fingerprint,
)
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import Event
from understudy.streams.evaluating.evaluation_log import EvaluationLog, Written
from understudy.streams.evaluating.evaluation_plan import EvaluationPlan, identity_of
from understudy.streams.evaluating.live_policies import LivePolicies
from understudy.streams.evaluating.pair_queue import JudgeTask, PairQueue
from understudy.streams.evaluating.partition_progress import PartitionProgress
from understudy.streams.evaluating.sampled_pair import sampled_pair
from understudy.streams.evaluating.sampled_partition import SampledPartition
from understudy.streams.evaluating.sampling import Chosen, RolloutSampler
from understudy.streams.kafka.access_denied import NOT_ALLOWED, failure_of
from understudy.streams.kafka.access_rights import Right
from understudy.streams.kafka.client_config import consumer_config, producer_config, topics
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.kafka.unreadable import is_unreadable, step_over
from understudy.streams.logs import KAFKA_LOGGER
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch
from understudy.streams.settings import Settings

log = structlog.get_logger(__name__)

_POLL_S: Final = 0.1
"""How late a pair is noticed; a judge takes longer."""
_IDLE_POLL_S: Final = 0.5
"""How soon a stop is noticed where there is nothing to evaluate."""
_BATCH_RECORDS: Final = 2_000
_FLUSH_INTERVAL_S: Final = 1.0
"""What a kill asks again is what was in flight; what it reads again, a second and what waits."""
_FLUSH_TIMEOUT_S: Final = 10.0
"""For the broker to take what was written, far below the group's timeouts."""
_STARTED_SINCE_S: Final = 6 * 3_600
"""What was written within is known at a start, and since midnight: pairs are judged within hours
of their request, or are left out."""
_MOST_JUDGED: Final = 2_000_000
"""Fingerprints that are remembered, of 100 bytes each; the log's readers count the first anyway."""
_MOST_EARLIER: Final = 20
"""Rollouts without evaluators whose floors are kept: a megabyte or two of each, and one that was
deleted by mistake comes back before so many others go."""
_REQUEST_TIMEOUT_S: Final = 15.0
"""Longer than a broker's restart takes, so that one passes unseen."""
NOTHING_IN_FLIGHT: Final = "nothing in flight"
"""Metadata of a commit whose process has no call under way, or lives to write what comes of it."""
_NONE_COMMITTED: Final = -1
_POLICIES_TIMEOUT_S: Final = 30.0
"""For the policies to be read at the start, as for a broker to restart."""

Finished = SimpleQueue[tuple[JudgeTask, Evaluation | None]]
"""What became of tasks, from whatever thread."""


class AskingThread(Protocol):
    """Asks a judge beside the reader."""

    def end(self) -> bool:
        """Stop asking, and wait for what is under way; whether all of it ended."""

    def raise_failure(self) -> None:
        """Raise what ended it, if a failure did."""


class EventReader:
    """One worker of the group that evaluates; `run` returns when `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        plan: EvaluationPlan,
        queue: PairQueue,
        finished: Finished,
        evaluations: EvaluationLog,
        *,
        may_ask: bool,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """With `may_ask` false no judge is asked, since it is not known what it costs."""
        self._settings = settings
        self._plan = plan
        self._queue = queue
        self._finished = finished
        self._evaluations = evaluations
        self._may_ask = may_ask
        self._clock_s = clock_s
        self._policy = PairingPolicy.from_settings(settings)
        names = topics(settings.kafka)
        self._topic, self._written_to = names.events.name, names.evaluations.name
        self._config = {**consumer_config(settings.kafka),
                        "group.id": settings.evaluating.group_id}  # fmt: skip
        self._consumer = Consumer(self._config, logger=KAFKA_LOGGER)
        self._producer = BufferedProducer(producer_config(settings.kafka))
        self._policies = LivePolicies(settings.kafka)
        self._samplers: dict[str, RolloutSampler] = {}
        self._earlier: dict[str, RolloutSampler] = {}
        """Of rollouts that no policy evaluates any more, with what their floors have, should they
        come back."""
        self._partitions: dict[int, SampledPartition] = {}
        self._committed: dict[int, int] = {}
        self._judged: dict[int, None] = {}
        """Fingerprints of what has been judged, the oldest first."""
        self._unknown: set[str] = set()
        self._partition_share = 1.0
        self._flush_at_s = 0.0
        self._lost_calls = 0
        """Pairs that may still be charged for a process that ended without telling."""
        self._is_subscribed = False
        """Not before there is a rollout to evaluate: reading all events has its price, too."""
        self.counts: Counter[str] = Counter()
        """Events read and sampled, requests, records written, and those of others noted."""
        self.updated_s = time.monotonic()
        """When the loop last began a round."""

    def run(self, stop: threading.Event, asking: AskingThread) -> None:
        """Read, hand on and write until told to stop; then commit what is finished.

        Raises whatever makes going on impossible, in the asking thread too.
        """
        try:
            self._read_policies(stop)
            self._read_log()
            log.info("evaluating.started", topic=self._topic,
                     group=self._settings.evaluating.group_id)  # fmt: skip
            self._consume(stop, asking)
            has_ended = asking.end()
            self.take_finished()
            self.commit(list(self._partitions), NOTHING_IN_FLIGHT if has_ended else "")
        finally:
            self._partitions.clear()  # closing revokes them, and must not commit after a failure
            self._policies.close()
            self._consumer.close()

    def _subscribe(self) -> None:
        self._is_subscribed = True
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    @property
    def evaluated(self) -> frozenset[str]:
        """The rollouts whose policies name evaluators, as last read."""
        return frozenset(self._samplers)

    @property
    def partitions(self) -> int:
        """How many are assigned."""
        return len(self._partitions)

    def lag(self) -> dict[int, int]:
        """Return how many records each partition holds that have not been read, as last known."""
        lags = {}
        for number, partition in list(self._partitions.items()):
            place = TopicPartition(self._topic, number)
            try:
                low, high = self._consumer.get_watermark_offsets(place, cached=True)
            except (KafkaException, RuntimeError):  # revoked, or closed
                continue
            if high >= 0:
                lags[number] = max(0, high - max(low, partition.progress.position))
        return lags

    @property
    def unfinished(self) -> int:
        """Requests that wait for a side, for the judge, or for the broker."""
        return sum(one.progress.unfinished for one in list(self._partitions.values()))

    def _read_policies(self, stop: threading.Event) -> None:
        """Wait until the policies in force are known: an event before them would not be sampled."""
        deadline = time.monotonic() + _POLICIES_TIMEOUT_S
        while not (self._policies.has_caught_up or stop.is_set()):
            self._policies.follow(_POLL_S)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the policies were not read in {_POLICIES_TIMEOUT_S:g} s")
        self._apply_policies()

    def _read_log(self) -> None:
        now_s = self._clock_s()
        midnight_s = now_s - now_s % 86_400
        since_s = min(midnight_s, now_s - _STARTED_SINCE_S)
        for written in self._evaluations.read_since(round(since_s * 1000)):
            self._note(written)

    def _consume(self, stop: threading.Event, asking: AskingThread) -> None:
        while not stop.is_set():
            self.updated_s = time.monotonic()
            asking.raise_failure()
            if self._is_subscribed:
                self._process(self._consumer.consume(_BATCH_RECORDS, _POLL_S))
            self.take_finished()
            for written in self._evaluations.follow():
                self._note(written)
            if self._policies.follow(0.0 if self._is_subscribed else _IDLE_POLL_S):
                self._apply_policies()
            if self._samplers and not self._is_subscribed:
                self._subscribe()
            if time.monotonic() >= self._flush_at_s:
                self.commit(list(self._partitions))
                self._flush_at_s = time.monotonic() + _FLUSH_INTERVAL_S

    # Policies and the log of evaluations

    def _apply_policies(self) -> None:
        rollouts = self._policies.rollouts
        named: set[tuple[str, str]] = set()
        for name, rollout in rollouts.items():
            sampler = self._samplers.get(name) or self._earlier.pop(name, RolloutSampler(()))
            self._samplers[name] = sampler
            sampler.samplings = rollout.samplings
            sampler.partition_share = self._partition_share
            for sampling in rollout.samplings:
                if sampling.evaluator in self._plan.judging:
                    named.add((name, sampling.evaluator))
                    self._queue.limit((name, sampling.evaluator), sampling)
                self._warn_of_unknown(sampling.evaluator)
        for gone in self._samplers.keys() - rollouts.keys():
            self._earlier[gone] = self._samplers.pop(gone)
            if len(self._earlier) > _MOST_EARLIER:
                del self._earlier[next(iter(self._earlier))]
        self._queue.keep_only(named)
        log.info("evaluating.policies", rollouts=sorted(rollouts))

    def _warn_of_unknown(self, evaluator: str) -> None:
        if not self._plan.knows(evaluator) and evaluator not in self._unknown:
            self._unknown.add(evaluator)
            log.warning("evaluating.unknown_evaluator", evaluator=evaluator)

    def _note(self, written: Written) -> None:
        """Count what an evaluation cost, that its pair is judged, and was chosen."""
        evaluation = written.evaluation
        reference = evaluator_reference(evaluation)
        if not self._plan.knows(reference):
            return
        rollout_id = evaluation.rollout_id
        sampler = self._samplers.get(rollout_id) or self._earlier.get(rollout_id)
        if sampler is not None and written.slice_name is not None:
            place = place_of(rollout_id, evaluation.pair_id)
            time_ms = to_epoch_ms(evaluation.request_time)
            sampler.note_chosen(reference, place, written.slice_name, time_ms)
        usage = evaluation.usage
        if usage is not None and reference in self._plan.judging:
            calls = max(1, len(evaluation.preferences))
            self._queue.note_elsewhere(
                (evaluation.rollout_id, reference), evaluation_time_ms(evaluation) / 1000,
                usage.cost_usd or 0.0, calls, self._clock_s(),
            )  # fmt: skip
        if evaluation.error is None:
            self._remember(fingerprint(evaluation_identity(evaluation)))
        self.counts["noted"] += 1

    def _remember(self, judged: int) -> None:
        self._judged[judged] = None
        if len(self._judged) > _MOST_JUDGED:
            del self._judged[next(iter(self._judged))]

    # Events

    def _process(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Message]] = defaultdict(list)
        unreadable: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is None:
                by_partition[message.partition() or 0].append(message)
            elif is_unreadable(message):
                unreadable[message.partition() or 0] = message.offset() or 0
            elif error.fatal() or error.code() in NOT_ALLOWED:
                raise failure_of(error, Right("topic", self._topic, "Read"))
            elif error.code() != KafkaError._PARTITION_EOF:
                log.warning("kafka.unavailable", error=error.str())
        for number, batch in by_partition.items():
            partition = self._partitions.get(number)
            if partition is not None:
                self.counts["read"] += len(batch)
                self.counts["sampled"] += partition.read(_records(batch), self._samplers)
        for number in unreadable.keys() & self._partitions.keys():
            place = self._topic, number
            position = step_over(self._consumer, self._config, place, unreadable[number])
            self._partitions[number].progress.position = position

    def _complete(
        self,
        progress: PartitionProgress,
        key: str,
        events: list[Event],
        chosen: tuple[Chosen, ...],
    ) -> None:
        """Take a sampled request whose sides have all come."""
        self.counts["pairs"] += 1
        rollout = self._policies.rollouts.get(events[0].rollout_id)
        if rollout is None:
            return
        limit = self._settings.evaluating.max_characters
        found = sampled_pair(events, rollout.policy_hash, limit, keeps_text=rollout.keeps_text)
        if isinstance(found, str):
            self._plan.leave_out(chosen, found)
            return
        now = dt.datetime.fromtimestamp(self._clock_s(), dt.UTC)
        records, asked = self._plan.carry_out(found, chosen, now)
        for record in records:
            if fingerprint(evaluation_identity(record)) not in self._judged:
                self._write(record, chosen[0])
        for one, compared in asked:
            if identity_of(found, one.sampling.evaluator, compared) not in self._judged:
                is_charged = self._is_charged_again(progress, key)
                self._ask(JudgeTask(found, one, compared, progress.add_task(key), is_charged))

    def _is_charged_again(self, progress: PartitionProgress, key: str) -> bool:
        """Whether a process that ended without telling may have had a call about it in flight."""
        if not self._lost_calls or not progress.may_be_asked_already(key):
            return False
        self._lost_calls -= 1
        return True

    def _ask(self, task: JudgeTask) -> None:
        if self._may_ask:
            self._queue.put(task)
        else:
            self._queue.leave_out(task, "price_unknown")

    # What is finished

    def take_finished(self) -> None:
        """Write what the judge has said, and note what needs no record."""
        while True:
            try:
                task, record = self._finished.get_nowait()
            except Empty:
                return
            if record is not None:
                self._write(record, task.chosen)
            task.ticket.finish()

    def _write(self, record: Evaluation, chosen: Chosen) -> None:
        self.counts["written"] += 1
        if record.error is None:
            self._remember(fingerprint(evaluation_identity(record)))
        self._producer.send(
            self._written_to, msgspec.json.encode(record), evaluation_key(record),
            headers=self._evaluations.headers(chosen.slice_name),
        )  # fmt: skip

    def commit(self, numbers: Iterable[int], metadata: str = "") -> None:
        """Commit what is finished, once the broker has its records.

        The metadata tells who reads on whether calls may have been in flight when this one ended.
        """
        max_wait_ms = 2 * self._policy.join_timeout_ms
        safe = {n: self._partitions[n].progress.safe_offset(max_wait_ms) for n in numbers}
        moved = (
            safe
            if metadata
            else {n: to for n, to in safe.items() if to > self._committed.get(n, _NONE_COMMITTED)}
        )
        if not moved:
            return
        if self._producer.flush(_FLUSH_TIMEOUT_S):
            log.warning("kafka.unavailable", error="evaluations are not delivered yet")
            return
        offsets = [TopicPartition(self._topic, n, to, metadata) for n, to in moved.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("kafka.unavailable", error=str(error))
            return
        self._committed.update(moved)

    # Rebalances

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        for committed in consumer.committed(partitions, timeout=_REQUEST_TIMEOUT_S):
            number = committed.partition
            progress = self._progress(number, committed)
            self._partitions[number] = SampledPartition(self._policy, progress, self._complete)
        self._share_partitions()
        self._flush_at_s = 0.0  # a commit tells that calls may be in flight from now on
        log.info("partitions.assigned", topic=self._topic, partitions=numbers)

    def _progress(self, number: int, committed: TopicPartition) -> PartitionProgress:
        """Where reading begins, and whether calls may have died with who read before."""
        if committed.offset >= 0 and committed.metadata == NOTHING_IN_FLIGHT:
            return PartitionProgress(number, committed.offset)
        place = TopicPartition(self._topic, number)
        first, end = self._consumer.get_watermark_offsets(place, timeout=_REQUEST_TIMEOUT_S)
        if committed.offset < 0:
            return PartitionProgress(number, first)
        self._lost_calls = self._settings.evaluating.concurrency
        return PartitionProgress(number, committed.offset, may_be_asked_before=end)

    def _share_partitions(self) -> None:
        """Tell samplers which share of the requests they see."""
        described = self._consumer.list_topics(self._topic, timeout=_REQUEST_TIMEOUT_S)
        count = len(described.topics[self._topic].partitions)
        self._partition_share = max(1, len(self._partitions)) / max(1, count)
        for sampler in self._samplers.values():
            sampler.partition_share = self._partition_share

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [p.partition for p in partitions if p.partition in self._partitions]
        self.take_finished()
        self.commit(numbers, NOTHING_IN_FLIGHT)  # or it is finished, and written, here
        self._drop(numbers)
        log.info("partitions.revoked", topic=self._topic, partitions=numbers)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop(p.partition for p in partitions)

    def _drop(self, numbers: Iterable[int]) -> None:
        """Leave partitions to another worker; what waits of them is not asked any more."""
        for number in numbers:
            self._committed.pop(number, None)
            dropped = self._partitions.pop(number, None)
            if dropped is not None:
                dropped.progress.is_revoked = True


def _records(batch: list[Message]) -> RecordBatch:
    return RecordBatch(
        [_bytes(message.value()) for message in batch],
        [message.offset() or 0 for message in batch],
        [message.timestamp()[1] for message in batch],
        [_bytes(message.key()) for message in batch],
    )


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
