"""Health, readiness and metrics of deciding, with time as a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.monitoring.deciding_metrics import (
    deciding_health,
    deciding_readiness,
    expose_deciding,
)
from understudy.streams.monitoring.health import HealthStatus
from understudy.streams.monitoring.worker_components import WorkerComponents

STALL_S = 60.0


def progress(
    *, recovered: bool = True, lags: Mapping[int, int] | None = None, updated_s: float = 100.0
) -> DecidingProgress:
    return DecidingProgress(
        Counter({"understudy.windows": 7, "understudy.rollouts": 0}),
        is_recovered=recovered, lags=lags, updated_s=updated_s, decisions=2, ignored_messages=3,
        dead_letters=Counter({"invalid_windows": 1}), rejected_commands=4,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "now_s", "alive", "ready"),
    [
        (progress(lags={0: 5}), 102.0, HealthStatus.OK, HealthStatus.OK),
        (progress(lags={}), 102.0, HealthStatus.OK, HealthStatus.OK),
        (progress(lags={}, recovered=False), 102.0, HealthStatus.OK, HealthStatus.FAILING),
        (progress(lags=None, recovered=False), 102.0, HealthStatus.OK, HealthStatus.FAILING),
        (progress(lags=None), 102.0, HealthStatus.DEGRADED, HealthStatus.DEGRADED),
        (progress(lags={0: 5}), 159.9, HealthStatus.OK, HealthStatus.OK),
        (progress(lags={0: 5}), 160.0, HealthStatus.FAILING, HealthStatus.FAILING),
        (progress(lags=None), 160.0, HealthStatus.FAILING, HealthStatus.FAILING),
    ],
)
def test_reports(
    state: DecidingProgress, now_s: float, alive: HealthStatus, ready: HealthStatus
) -> None:
    assert deciding_health(state, now_s, STALL_S).status is alive
    assert deciding_readiness(state, now_s, STALL_S).status is ready


def collected(state: DecidingProgress) -> dict[tuple[str, str], float]:
    worker, registry = WorkerComponents(("deciding",)), CollectorRegistry()
    registry.register(worker)
    with expose_deciding(worker, STALL_S, state):
        text = generate_latest(registry).decode()
    return {
        (sample.name.removeprefix("understudy_deciding_"), "".join(sample.labels.values())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_values() -> None:
    found = collected(progress(lags={0: 5, 3: 0}))
    expected = {
        ("messages_total", "understudy.windows"): 7,
        ("messages_total", "understudy.rollouts"): 0,
        ("decisions_total", ""): 2,
        ("dead_letters_total", "invalid_windows"): 1,
        ("rejected_commands_total", ""): 4,
        ("ignored_messages_total", ""): 3,
        ("recovered", ""): 1,
        ("partitions", ""): 2,
        ("lag_records", "0"): 5,
        ("lag_records", "3"): 0,
    }
    assert found.items() >= expected.items()


def test_what_kafka_does_not_tell_is_left_out() -> None:
    assert ("lag_records", "0") not in collected(progress(lags=None))
