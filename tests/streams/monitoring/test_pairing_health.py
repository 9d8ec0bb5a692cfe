"""Health and readiness of pairing, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from understudy.streams.monitoring.health import HealthStatus
from understudy.streams.monitoring.pairing_health import (
    PairingCondition,
    pairing_health,
    pairing_readiness,
)
from understudy.streams.monitoring.stall_detector import SourcePartition, StalledPartition

FINE = PairingCondition(not_joined=())
STALL = StalledPartition(place=SourcePartition("events", 2), position=17, lag=5, stalled_s=61.0)


@pytest.mark.parametrize(
    ("condition", "health", "readiness"),
    [
        (FINE, HealthStatus.OK, HealthStatus.OK),
        (replace(FINE, not_joined=("events",)), HealthStatus.OK, HealthStatus.FAILING),
        (replace(FINE, not_joined=("feedback",)), HealthStatus.OK, HealthStatus.FAILING),
        (replace(FINE, stalled=(STALL,)), HealthStatus.FAILING, HealthStatus.FAILING),
        (replace(FINE, clickhouse_healthy=False), HealthStatus.DEGRADED, HealthStatus.DEGRADED),
        (replace(FINE, kafka_reachable=False), HealthStatus.DEGRADED, HealthStatus.DEGRADED),
        (replace(FINE, loader_failure="no rights"), HealthStatus.FAILING, HealthStatus.FAILING),
        (
            replace(FINE, clickhouse_healthy=False, loader_failure="no rights"),
            HealthStatus.FAILING,
            HealthStatus.FAILING,
        ),
        (PairingCondition(), HealthStatus.OK, HealthStatus.FAILING),
    ],
)
def test_reports(
    condition: PairingCondition, health: HealthStatus, readiness: HealthStatus
) -> None:
    assert pairing_health(condition).status is health
    assert pairing_readiness(condition).status is readiness


@pytest.mark.parametrize("status", HealthStatus)
def test_degraded_passes_a_probe(status: HealthStatus) -> None:
    conditions = {
        HealthStatus.OK: FINE,
        HealthStatus.DEGRADED: replace(FINE, clickhouse_healthy=False),
        HealthStatus.FAILING: replace(FINE, loader_failure="x"),
    }
    report = pairing_health(conditions[status])
    assert report.ok is (status is not HealthStatus.FAILING)
    assert bool(report.reasons) is (status is not HealthStatus.OK)


def test_reasons_say_where_and_how_long() -> None:
    (reason,) = pairing_health(replace(FINE, stalled=(STALL,))).reasons
    assert reason == (
        "partition 2 of events has not moved from offset 17 for 61 s although 5 records wait to be "
        "read"
    )


def test_the_source_whose_group_was_not_joined_is_named() -> None:
    (reason,) = pairing_readiness(replace(FINE, not_joined=("feedback",))).reasons
    assert reason == "not yet a member of the consumer group that reads feedback"
