"""Looks at a worker every few seconds: where it stands, where the log ends, whether it moves.

It has clients of its own, so that a worker that is stuck cannot hide what there is to read.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from understudy.streams.kafka import client_config
from understudy.streams.operating.reading import reader_config
from understudy.streams.serving.health import Condition, ProgressWatch, Stall
from understudy.streams.serving.ledger import TallyLedger
from understudy.streams.serving.snapshot import Parts, Snapshot, take
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 5.0
_QUIET: Final[dict[str, Any]] = {"log_level": 0}
"""The worker's own clients log what is wrong with the broker."""


class Observer:
    """Watches one worker from a thread of its own, between `start` and `stop`."""

    def __init__(self, kafka: KafkaSettings, topic: str, parts: Parts, *, stall_s: float) -> None:
        self._kafka = kafka
        self._topic = topic
        self._parts = parts
        self._ledger = TallyLedger()
        self._watch = ProgressWatch(stall_s)
        self._admin = AdminClient({**client_config(kafka), **_QUIET})
        self._ends: dict[int, int] = {}
        self._condition = Condition()
        self._confirmed: set[tuple[int, int]] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="understudy-observer", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self._thread.join(ANSWER_WITHIN_S)

    def condition(self) -> Condition:
        """What is known now; what the worker itself tells is fresh."""
        loader, consumer = self._parts.loader, self._parts.consumer
        return replace(
            self._condition,
            partitions=len(consumer.partitions),
            clickhouse_healthy=loader.healthy,
            loader_broken=loader.broken,
        )

    def look(self) -> Snapshot:
        """Everything, for metrics."""
        return take(
            self._parts,
            self._ledger,
            ends=self._ends,
            condition=self.condition(),
            now_ms=round(time.time() * 1000),
            cpu_s=time.process_time(),
        )

    def _run(self) -> None:
        while not self._done.wait(LOOK_EVERY_S):
            try:
                self._observe()
            except KafkaException:  # whether it stalls cannot be told without the broker
                self._condition = replace(self._condition, kafka_reachable=False, stalls=())
            except Exception:
                log.exception("serving.observing_failed")

    def _observe(self) -> None:
        states = self._parts.consumer.partitions
        self._ledger.total(state.tally for state in states.values())
        ends = self._ask_ends(list(states))
        self._ends = ends
        positions = {number: state.position for number, state in states.items()}
        self._watch.see(positions, ends, time.monotonic())
        self._condition = Condition(
            member=bool(states) or self._is_member(), stalls=tuple(self._stalls())
        )

    def _ask_ends(self, numbers: list[int]) -> dict[int, int]:
        if not numbers:
            return {}
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self._topic, n): latest for n in numbers}
        found = self._admin.list_offsets(asked, request_timeout=ANSWER_WITHIN_S)
        return {place.partition: one.result().offset for place, one in found.items()}

    def _is_member(self) -> bool:
        """Whether the group counts this worker as a member, though it has no partitions."""
        name = self._parts.consumer.member_id
        if not name:
            return False
        asked = self._admin.describe_consumer_groups(
            [self._kafka.group_id], request_timeout=ANSWER_WITHIN_S
        )
        members = asked[self._kafka.group_id].result().members
        return any(member.member_id == name for member in members)

    def _stalls(self) -> list[Stall]:
        """Partitions that stand still though another reader does get what lies there."""
        suspects = self._watch.suspects(time.monotonic())
        self._confirmed &= {(s.partition, s.position) for s in suspects}
        for suspect in suspects:
            place = (suspect.partition, suspect.position)
            if place in self._confirmed:
                continue
            readable = self._is_readable(*place)
            if readable:
                self._confirmed.add(place)
                log.error("worker.stalled", partition=suspect.partition, position=suspect.position,
                          lag=suspect.lag)  # fmt: skip
            elif readable is False:
                self._watch.nothing_to_read(suspect.partition, time.monotonic())
        return [s for s in suspects if (s.partition, s.position) in self._confirmed]

    def _is_readable(self, partition: int, offset: int) -> bool | None:
        """Whether a reader is given a record there; None when nobody answers."""
        reader = Consumer({**reader_config(self._kafka), **_QUIET})
        try:
            reader.assign([TopicPartition(self._topic, partition, offset)])
            message = reader.poll(ANSWER_WITHIN_S)
        finally:
            reader.close()
        error = message.error() if message is not None else None
        if message is None or (error and error.code() != KafkaError._PARTITION_EOF):
            return None
        return error is None
