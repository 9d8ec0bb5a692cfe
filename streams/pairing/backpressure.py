"""What pairing does when ClickHouse does not keep up: hold results, leave them out, rewind later.

Decisions never wait for ClickHouse: window rows keep flowing to Kafka. So a full buffer pauses a
partition only while it reads again what was published already. Otherwise its comparisons are left
out, and the partition is read again from the committed offset once inserts succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.pairing.assignment import Assignment, ResultStore


class Backpressure:
    """Puts results of one topic's partitions into the store, as far as it has room."""

    def __init__(self, consumer: Consumer, topic: str, store: ResultStore, log: Any) -> None:
        self._consumer = consumer
        self._topic = topic
        self._store = store
        self._log = log

    def put(self, assignment: Assignment, put: Callable[[], None]) -> None:
        """Hand results to the store. If it is full, go on without them, or hold them.

        To hold is right while a rewind reads again what has been published: no decision depends
        on it, and going on would only fill the buffer up to the same place again and again.
        """
        if assignment.missing_results:
            return
        try:
            put()
        except SinkBusy:
            is_again = assignment.state.position <= assignment.published_before_rewind
            if self._store.healthy and is_again:
                assignment.held = put
                self._consumer.pause([self._partition(assignment)])
            else:
                self._leave_out(assignment)

    def put_together(
        self,
        assignments: Sequence[Assignment],
        put: Callable[[Collection[int]], None],
    ) -> None:
        """Hand results of several partitions over at once; where there is no room, one by one.

        `put` hands over those of the partitions with the given numbers.
        """
        taken = [one for one in assignments if not one.missing_results]
        if not taken:
            return
        try:
            put([one.number for one in taken])
        except SinkBusy:
            for one in taken:
                self.put(one, partial(put, [one.number]))

    def put_held(self, assignments: Iterable[Assignment]) -> None:
        """Retry the results that are held; resume the partitions whose results found room."""
        for assignment in assignments:
            if assignment.held is not None:
                put, assignment.held = assignment.held, None
                self.put(assignment, put)
                if assignment.held is None:
                    self._consumer.resume([self._partition(assignment)])

    def _leave_out(self, assignment: Assignment) -> None:
        """Go on without ClickHouse."""
        assignment.missing_results = True
        assignment.inserts_when_left_out = self._store.inserts
        self._log.warning("clickhouse.behind", partition=assignment.number,
                          since=assignment.state.position)  # fmt: skip

    def to_rewind(self, assignments: Iterable[Assignment]) -> list[Assignment]:
        """Return the partitions to read again, now that ClickHouse takes inserts."""
        if not self._store.healthy:
            return []
        return [
            assignment
            for assignment in assignments
            if assignment.missing_results and self._store.inserts > assignment.inserts_when_left_out
        ]

    def _partition(self, assignment: Assignment) -> TopicPartition:
        return TopicPartition(self._topic, assignment.number)
