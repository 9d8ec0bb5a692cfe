"""Snapshots and components to make metrics from."""

from __future__ import annotations

from typing import Any

from prometheus_client.registry import Collector

from understudy.streams.clickhouse.loader import LoadCounters
from understudy.streams.monitoring.health import HealthReport, HealthStatus
from understudy.streams.monitoring.pairing_health import PairingCondition
from understudy.streams.monitoring.pairing_snapshot import (
    PairingSnapshot,
    PartitionSnapshot,
    ReaderSnapshot,
)
from understudy.streams.monitoring.worker_components import WorkerComponent
from understudy.streams.pairing.assignment import ConsumerTotals

FINE = HealthReport(HealthStatus.OK)
NOW_MS = 1_772_452_800_000


def snapshot(**changes: Any) -> PairingSnapshot:
    """A worker with two partitions of events, one of which has not started, and one of feedback.

    `tally` and `dead_letters` are those of events.
    """
    events = ReaderSnapshot(
        partitions={
            0: PartitionSnapshot(120, 100, NOW_MS - 2500, 3, 4, 130),
            1: PartitionSnapshot(0, None, None, 0, 0),
        },
        tally=changes.pop(
            "tally", {"read": 12, "read_bytes": 3400, "paired": 8, "pairs": 4, "late": 1}
        ),
        totals=ConsumerTotals(lost_records=2, unreadable_records=5, rewinds=1, commits=9),
        dead_letters=changes.pop("dead_letters", {"schema": 2}),
    )
    feedback = ReaderSnapshot(
        partitions={0: PartitionSnapshot(7, 5, NOW_MS - 60_000, 0, 1, 9, read_to=8)},
        tally={"read": 7, "single": 6, "duplicate": 1},
        totals=ConsumerTotals(commits=4),
        dead_letters={"schema": 1, "not_json": 1},
    )
    given: dict[str, Any] = {
        "readers": {"events": events, "feedback": feedback},
        "loader": LoadCounters(rows=70, nbytes=900, batches=3, failures=2, retries=1, refused=1),
        "buffered_bytes": 55,
        "condition": PairingCondition(not_joined=()),
        "now_ms": NOW_MS,
    }
    return PairingSnapshot(**{**given, **changes})


def component(report: HealthReport = FINE, metrics: Collector | None = None) -> WorkerComponent:
    """A component that is as healthy as it is ready."""
    return WorkerComponent(health=lambda: report, readiness=lambda: report, metrics=metrics)
