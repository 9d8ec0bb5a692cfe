"""Looks at a worker every few seconds: where it stands, where the log ends, whether it moves.

It has clients of its own, so that a worker that is stuck cannot hide what there is to read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import structlog
from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from understudy.streams.kafka.client_config import client_config
from understudy.streams.kafka.topic_reader import reader_config
from understudy.streams.monitoring.health import Condition, Place, ProgressWatch, Stall
from understudy.streams.monitoring.tally_ledger import TallyLedger
from understudy.streams.monitoring.worker_snapshot import Parts, Snapshot, take_reader
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 5.0
_QUIET: Final[dict[str, Any]] = {"log_level": 0}
"""The worker's own clients log what is wrong with the broker."""


class Observer:
    """Watches one worker from a thread of its own, between `start` and `stop`."""

    def __init__(self, kafka: KafkaSettings, parts: Parts, *, stall_s: float) -> None:
        self._kafka = kafka
        self._parts = parts
        self._readers = {reader.source: reader for reader in parts.readers}
        self._ledgers = {source: TallyLedger() for source in self._readers}
        self._watch = ProgressWatch(stall_s)
        self._admin = AdminClient({**client_config(kafka), **_QUIET})
        self._ends: dict[Place, int] = {}
        self._condition = Condition(outside=tuple(self._readers))
        self._confirmed: set[tuple[Place, int]] = set()
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
        loader, condition = self._parts.loader, self._condition
        return replace(
            condition,
            outside=tuple(s for s in condition.outside if not self._readers[s].partitions),
            clickhouse_healthy=loader.healthy,
            loader_broken=loader.broken,
        )

    def look(self) -> Snapshot:
        """Everything, for metrics."""
        ends = self._ends
        return Snapshot(
            readers={
                source: take_reader(
                    reader,
                    self._ledgers[source],
                    {place.partition: end for place, end in ends.items() if place.source == source},
                )
                for source, reader in self._readers.items()
            },
            loader=self._parts.loader.counters,
            buffered_bytes=self._parts.loader.buffered_bytes,
            condition=self.condition(),
            now_ms=round(time.time() * 1000),
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
        positions: dict[Place, int] = {}
        for source, reader in self._readers.items():
            states = reader.partitions
            self._ledgers[source].total(state.tally for state in states.values())
            positions |= {Place(source, n): state.position for n, state in states.items()}
        self._ends = self._ask_ends(positions)
        self._watch.see(positions, self._ends, time.monotonic())
        held = {place.source for place in positions}
        self._condition = Condition(
            outside=tuple(
                source
                for source, reader in self._readers.items()
                if source not in held and not self._is_member(reader)
            ),
            stalls=tuple(self._stalls()),
        )

    def _ask_ends(self, places: Iterable[Place]) -> dict[Place, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {self._topic_partition(place): latest for place in places}
        if not asked:
            return {}
        sources = {reader.topic: source for source, reader in self._readers.items()}
        found = self._admin.list_offsets(asked, request_timeout=ANSWER_WITHIN_S)
        return {Place(sources[at.topic], at.partition): one.result().offset
                for at, one in found.items()}  # fmt: skip

    def _topic_partition(self, place: Place, offset: int = OFFSET_INVALID) -> TopicPartition:
        return TopicPartition(self._readers[place.source].topic, place.partition, offset)

    def _is_member(self, reader: PairingConsumer) -> bool:
        """Whether a reader's group counts it as a member, though it has no partitions."""
        name, group = reader.member_id, reader.group_id
        if not name:
            return False
        asked = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_WITHIN_S)
        return any(member.member_id == name for member in asked[group].result().members)

    def _stalls(self) -> list[Stall]:
        """Partitions that stand still though another reader does get what lies there."""
        suspects = self._watch.suspects(time.monotonic())
        self._confirmed &= {(s.place, s.position) for s in suspects}
        for suspect in suspects:
            place, position = suspect.place, suspect.position
            if (place, position) in self._confirmed:
                continue
            readable = self._is_readable(place, position)
            if readable:
                self._confirmed.add((place, position))
                log.error("worker.stalled", source=place.source, partition=place.partition,
                          position=position, lag=suspect.lag)  # fmt: skip
            elif readable is False:
                self._watch.nothing_to_read(place, time.monotonic())
        return [s for s in suspects if (s.place, s.position) in self._confirmed]

    def _is_readable(self, place: Place, offset: int) -> bool | None:
        """Whether a reader is given a record there; None when nobody answers."""
        reader = Consumer({**reader_config(self._kafka), **_QUIET})
        try:
            reader.assign([self._topic_partition(place, offset)])
            message = reader.poll(ANSWER_WITHIN_S)
        finally:
            reader.close()
        error = message.error() if message is not None else None
        if message is None or (error and error.code() != KafkaError._PARTITION_EOF):
            return None
        return error is None
