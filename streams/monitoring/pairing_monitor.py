"""Monitors pairing: compares positions with the ends of the log and detects stalled partitions.

It has Kafka clients of its own, so that a consumer that hangs cannot hide what waits to be read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.client_config import client_config
from understudy.streams.kafka.offsets import PartitionId, has_record_at, request_ends
from understudy.streams.monitoring.metric_specs import SpecCollector
from understudy.streams.monitoring.pairing_health import (
    PairingCondition,
    pairing_health,
    pairing_readiness,
)
from understudy.streams.monitoring.pairing_metrics import PAIRING
from understudy.streams.monitoring.pairing_snapshot import (
    PairingParts,
    PairingSnapshot,
    snapshot_reader,
)
from understudy.streams.monitoring.stall_detector import (
    SourcePartition,
    StallDetector,
    StalledPartition,
)
from understudy.streams.monitoring.tally_totals import TallyTotals
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)

OBSERVE_INTERVAL_S: Final = 2.0
"""Far below any useful stall timeout; one small request to the broker each time."""
REQUEST_TIMEOUT_S: Final = 5.0
"""A broker that works answers in milliseconds; longer counts as unreachable."""
_QUIET: Final[dict[str, Any]] = {"log_level": 0}
"""The worker's own clients log problems with the broker already."""


class PairingMonitor:
    """Monitors the consumers of one worker from a thread, between `start` and `stop`."""

    def __init__(
        self,
        kafka: KafkaSettings,
        parts: PairingParts,
        *,
        stall_timeout_s: float,
        interval_s: float = OBSERVE_INTERVAL_S,
    ) -> None:
        self._kafka = kafka
        self._parts = parts
        self._interval_s = interval_s
        self._readers = {reader.source: reader for reader in parts.readers}
        self._totals = {source: TallyTotals() for source in self._readers}
        self._detector = StallDetector(stall_timeout_s)
        self._admin = AdminClient({**client_config(kafka), **_QUIET})
        self._ends: dict[SourcePartition, int] = {}
        self._condition = PairingCondition(not_joined=tuple(self._readers))
        self._confirmed: set[tuple[SourcePartition, int]] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="understudy-pairing-monitor", daemon=True
        )

    def start(self) -> None:
        """Start to observe."""
        self._thread.start()

    def stop(self) -> None:
        """Stop observing."""
        self._done.set()
        self._thread.join(REQUEST_TIMEOUT_S)

    def condition(self) -> PairingCondition:
        """What is known now; the worker's own state is current. Never blocks."""
        loader, condition = self._parts.loader, self._condition
        return replace(
            condition,
            not_joined=tuple(s for s in condition.not_joined if not self._readers[s].partitions),
            clickhouse_healthy=loader.healthy,
            loader_failure=loader.broken,
        )

    def snapshot(self) -> PairingSnapshot:
        """Everything that the metrics are made from."""
        ends = self._ends
        return PairingSnapshot(
            readers={
                source: snapshot_reader(
                    reader,
                    self._totals[source],
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
        while not self._done.wait(self._interval_s):
            try:
                self._observe()
            except KafkaException:  # without the broker, a stall and an empty log look the same
                self._condition = replace(self._condition, kafka_reachable=False, stalled=())
            except Exception:
                log.exception("monitoring.observation_failed")

    def _observe(self) -> None:
        positions: dict[SourcePartition, int] = {}
        for source, reader in self._readers.items():
            states = reader.partitions
            self._totals[source].total(state.tally for state in states.values())
            positions |= {SourcePartition(source, n): state.position for n, state in states.items()}
        self._ends = self._request_ends(positions)
        self._detector.observe(positions, self._ends, time.monotonic())
        held = {place.source for place in positions}
        self._condition = PairingCondition(
            not_joined=tuple(
                source
                for source, reader in self._readers.items()
                if source not in held and not self._is_member(reader)
            ),
            stalled=tuple(self._stalled()),
        )

    def _request_ends(self, places: Iterable[SourcePartition]) -> dict[SourcePartition, int]:
        requested = {self._partition(place): place for place in places}
        found = request_ends(self._admin, requested, REQUEST_TIMEOUT_S)
        return {requested[one]: answer.result().offset for one, answer in found.items()}

    def _partition(self, place: SourcePartition) -> PartitionId:
        return self._readers[place.source].topic, place.partition

    def _is_member(self, reader: PairingConsumer) -> bool:
        """Whether the consumer group lists a consumer as a member, though without partitions."""
        member, group = reader.member_id, reader.group_id
        if not member:
            return False
        described = self._admin.describe_consumer_groups([group], request_timeout=REQUEST_TIMEOUT_S)
        return any(known.member_id == member for known in described[group].result().members)

    def _stalled(self) -> list[StalledPartition]:
        """Partitions that do not move although another consumer does get the records there."""
        suspects = self._detector.suspects(time.monotonic())
        self._confirmed &= {(s.place, s.position) for s in suspects}
        for suspect in suspects:
            place, position = suspect.place, suspect.position
            if (place, position) in self._confirmed:
                continue
            readable = has_record_at(
                self._kafka, self._partition(place), position, REQUEST_TIMEOUT_S
            )
            if readable:
                self._confirmed.add((place, position))
                log.error("worker.stalled", source=place.source, partition=place.partition,
                          position=position, lag=suspect.lag)  # fmt: skip
            elif readable is False:
                self._detector.nothing_to_read(place, time.monotonic())
        return [s for s in suspects if (s.place, s.position) in self._confirmed]


@contextmanager
def monitor_pairing(
    kafka: KafkaSettings, stall_timeout_s: float, components: WorkerComponents, parts: PairingParts
) -> Iterator[None]:
    """Monitor pairing and expose it inside the context."""
    monitor = PairingMonitor(kafka, parts, stall_timeout_s=stall_timeout_s)
    component = WorkerComponent(
        health=lambda: pairing_health(monitor.condition()),
        readiness=lambda: pairing_readiness(monitor.condition()),
        metrics=SpecCollector(PAIRING, monitor.snapshot),
    )
    monitor.start()
    try:
        with components.running("pairing", component):
            yield
    finally:
        monitor.stop()
