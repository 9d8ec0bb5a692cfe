"""Snapshots to make metrics from."""

from __future__ import annotations

from typing import Any

from prometheus_client.registry import Collector

from understudy.streams.clickhouse.loader import LoadCounters
from understudy.streams.monitoring.health import Condition, Report, Status
from understudy.streams.monitoring.metric_specs import SpecCollector
from understudy.streams.monitoring.process import Part
from understudy.streams.monitoring.worker_snapshot import (
    PartitionSnapshot,
    ReaderSnapshot,
    Snapshot,
)
from understudy.streams.pairing.consumer import ConsumerTotals

FINE = Report(Status.OK)
NOW_MS = 1_772_452_800_000


def snapshot(**changes: Any) -> Snapshot:
    """A worker with two partitions of events, one of which has not begun, and one of feedback.

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
        totals=ConsumerTotals(lost_records=2, rewinds=1, commits=9),
        dead_letters=changes.pop("dead_letters", {"schema": 2}),
    )
    feedback = ReaderSnapshot(
        partitions={0: PartitionSnapshot(7, 5, NOW_MS - 60_000, 0, 1, 9)},
        tally={"read": 7, "single": 6, "duplicate": 1},
        totals=ConsumerTotals(commits=4),
        dead_letters={"schema": 1, "not_json": 1},
    )
    given: dict[str, Any] = {
        "readers": {"events": events, "feedback": feedback},
        "loader": LoadCounters(rows=70, nbytes=900, batches=3, failures=2, retries=1, refused=1),
        "buffered_bytes": 55,
        "condition": Condition(outside=()),
        "now_ms": NOW_MS,
    }
    return Snapshot(**{**given, **changes})


def part(report: Report = FINE, metrics: Collector | None = None) -> Part:
    """What tells of itself alone."""
    collector = metrics or SpecCollector[None]((), lambda: None)
    return Part(health=lambda: report, readiness=lambda: report, metrics=collector)
