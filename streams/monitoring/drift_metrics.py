"""Metrics of the watch for drift."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from understudy.streams.clickhouse.drift_watch import DriftWatch
from understudy.streams.monitoring.health import HealthReport, HealthStatus
from understudy.streams.monitoring.metric_specs import PREFIX, MetricSpec, SpecCollector, Values
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents


@contextmanager
def expose_drift(components: WorkerComponents, watch: DriftWatch) -> Iterator[None]:
    """Expose the watch inside the context; whether it works is no question of health."""
    ok = HealthReport(HealthStatus.OK)
    component = WorkerComponent(lambda: ok, lambda: ok, SpecCollector(DRIFT, lambda: watch))
    with components.running("drift", component):
        yield


def _changed(watch: DriftWatch) -> Values:
    return {
        (rollout_id, side): float(len({one.metric.name for one in drift.alerts}))
        for (rollout_id, side), drift in watch.looks.items()
    }


def _age(watch: DriftWatch) -> Values:
    return {} if watch.looked_at_s is None else {(): time.monotonic() - watch.looked_at_s}


DRIFT: Final[tuple[MetricSpec[DriftWatch], ...]] = (
    MetricSpec(f"{PREFIX}drift_changed_metrics", "gauge", ("rollout_id", "side"),
               "Metrics of a side that differ from its past by more than days do by themselves; "
               "none where there is too little traffic to tell", _changed),
    MetricSpec(f"{PREFIX}drift_look_age_seconds", "gauge", (),
               "How long ago all rollouts were looked at", _age),
)  # fmt: skip
