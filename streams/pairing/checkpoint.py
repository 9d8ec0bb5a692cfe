"""Checkpoints of pairing: emit changed rows, wait for delivery, commit what every sink holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.streams.pairing.assignment import Assignment, ConsumerTotals, ResultStore
from understudy.streams.pairing.backpressure import Backpressure
from understudy.streams.pairing.kafka_results import KafkaResults

_DELIVERY_POLL_S: Final = 1.0
"""How often a worker that waits for deliveries serves the group, whose shortest session is 6 s."""
_STORE_UNAVAILABLE_S: Final = 1.0
"""How long a partition that is released waits for a store that does not take inserts anyway."""
_BROKER_UNAVAILABLE_S: Final = 2.0
"""How long it waits for a broker to answer at all; one that works answers in milliseconds."""

Emitted = list[tuple[Assignment, int]]
"""Partitions of which all rows are queued, each with the position of the rows."""


class Checkpointer:
    """Makes the results of one topic's partitions durable, and commits their offsets."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        results: KafkaResults,
        store: ResultStore,
        backpressure: Backpressure,
        totals: ConsumerTotals,
        log: Any,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._results = results
        self._store = store
        self._backpressure = backpressure
        self._totals = totals
        self._log = log

    def emit(self, assignments: Iterable[Assignment]) -> Emitted:
        """Queue the changed rows of all partitions whose earlier results are queued."""
        ready = [assignment for assignment in assignments if assignment.held is None]
        changed = [assignment.state.changed_rows() for assignment in ready]
        self._results.send_rows(changed)
        rows = {one.partition: one.rows for one in changed}
        positions = {assignment.number: assignment.state.position for assignment in ready}
        self._backpressure.put_together(ready, partial(self._put_rows, rows, positions))
        return [(assignment, assignment.state.position) for assignment in ready]

    def _put_rows(
        self,
        rows: Mapping[int, list[DrawnRow]],
        positions: Mapping[int, int],
        partitions: Collection[int],
    ) -> None:
        """Queue the rows of some partitions for the store. Raises `SinkBusy`."""
        chosen = [row for number in partitions for row in rows[number]]
        self._store.put_rows(chosen, {number: positions[number] for number in partitions})

    def deliver(self, emitted: Emitted, keep_membership: Callable[[], bool]) -> bool:
        """Wait until the broker has all messages; False when `keep_membership` says to stop.

        `keep_membership` is called about every second meanwhile, to stay in the group.
        """
        while not self._results.flush(_DELIVERY_POLL_S):
            if not keep_membership():
                return False
            self._log.warning("kafka.undelivered", why="the broker does not take messages; waiting")
        _note_published(emitted)
        return True

    def commit(self, assignments: Sequence[Assignment], *, deadline: float | None = None) -> None:
        """Commit, for each partition, the offset that its rule calls safe.

        With a deadline it waits for the group's answer, if there is a broker that gives one. What
        the group has acknowledged is not committed again: closing would wait long for the answer.
        """
        commits: list[TopicPartition] = []
        for assignment in assignments:
            number = assignment.number
            flushed_to = min(assignment.published, self._store.stored(number))
            safe = assignment.state.safe_commit(flushed_to)
            if safe is not None:
                metadata = safe.metadata.encode()
                if assignment.acknowledged != (safe.offset, metadata):
                    commits.append(
                        TopicPartition(self._topic, number, safe.offset, metadata=metadata)
                    )
                assignment.committed = safe.offset
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
            self._totals.commits += 1

    def _group_answers(self, places: list[TopicPartition], deadline: float) -> bool:
        """Whether the group answers: a commit that is waited for has no time limit of its own."""
        left_s = max(0.0, deadline - time.monotonic())
        requested = [TopicPartition(place.topic, place.partition) for place in places]
        try:
            self._consumer.committed(requested, timeout=min(_BROKER_UNAVAILABLE_S, left_s))
        except KafkaException as error:
            self._log.warning("commit.failed", error=str(error))
            return False
        return True

    def release(self, assignments: Sequence[Assignment], deadline_s: float) -> None:
        """Flush and commit partitions that are given up, all within `deadline_s`."""
        deadline = time.monotonic() + deadline_s
        emitted = self.emit(assignments)
        delivered = self._results.flush(deadline_s)
        store_s = deadline_s if self._store.healthy else _STORE_UNAVAILABLE_S
        stored = self._store.flush(max(0.0, min(store_s, deadline - time.monotonic())))
        if not (delivered and stored):
            self._log.warning("flush.incomplete", delivered=delivered, stored=stored)
        if delivered:
            _note_published(emitted)
            self.commit(assignments, deadline=deadline)


def note_acknowledged(
    assignments: dict[int, Assignment], error: KafkaError | None, places: list[TopicPartition]
) -> None:
    """Note the commits that the group has; what failed is committed again with the next flush."""
    for place in places:
        assignment = assignments.get(place.partition)
        if assignment is not None and error is None and place.error is None:
            assignment.acknowledged = (place.offset, place.metadata)


def _note_published(emitted: Emitted) -> None:
    for assignment, position in emitted:
        assignment.published = position
