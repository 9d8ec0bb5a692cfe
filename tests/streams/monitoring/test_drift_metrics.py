"""What a worker shows of its looks for drift."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest

from understudy.streams.clickhouse.drift_watch import DriftWatch
from understudy.streams.monitoring.drift_metrics import expose_drift
from understudy.streams.monitoring.worker_components import WorkerComponents


def shown(watch: DriftWatch) -> str:
    components = WorkerComponents([])
    registry = CollectorRegistry()
    registry.register(components)
    with expose_drift(components, watch):
        assert components.health().ok
        return generate_latest(registry).decode()


def test_changed_metrics_are_counted_once_whatever_their_languages() -> None:
    watch = DriftWatch()
    assert "drift_look_age_seconds{" not in shown(watch)
    alerts = [SimpleNamespace(metric=SimpleNamespace(name=name)) for name in ("a", "a", "b")]
    looks = {
        ("checkout", "candidate"): SimpleNamespace(alerts=alerts),
        ("checkout", "stable"): SimpleNamespace(alerts=()),
    }
    watch.looks = cast(Any, looks)
    watch.looked_at_s = time.monotonic()
    text = shown(watch)
    assert 'understudy_drift_changed_metrics{rollout_id="checkout",side="candidate"} 2.0' in text
    assert 'understudy_drift_changed_metrics{rollout_id="checkout",side="stable"} 0.0' in text
    assert "understudy_drift_look_age_seconds 0." in text
