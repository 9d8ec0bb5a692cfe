"""Health of a worker: that of its worst component; it is ready once all have started."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.monitoring.snapshots import FINE, component
from understudy.streams.monitoring.health import HealthReport, HealthStatus
from understudy.streams.monitoring.metric_catalogue import METRICS
from understudy.streams.monitoring.metric_specs import SpecCollector, gauge
from understudy.streams.monitoring.pairing_metrics import PAIRING
from understudy.streams.monitoring.worker_components import WORKER, WorkerComponents

DEGRADED = HealthReport(HealthStatus.DEGRADED, ("ClickHouse is away",))
FAILING = HealthReport(HealthStatus.FAILING, ("it does not move",))


def test_a_worker_is_ready_with_all_its_components() -> None:
    worker = WorkerComponents(("pairing", "deciding"))
    assert worker.health() == FINE, "a component that has not started is not failing"
    assert worker.readiness() == HealthReport(
        HealthStatus.FAILING, ("pairing has not started", "deciding has not started")
    )
    with worker.running("pairing", component()):
        assert worker.readiness() == HealthReport(
            HealthStatus.FAILING, ("deciding has not started",)
        )
        with worker.running("deciding", component(DEGRADED)):
            assert worker.readiness() == worker.health() == DEGRADED
        with worker.running("deciding", component(FAILING)):
            assert not worker.health().ok
    assert not worker.readiness().ok


def collected(worker: WorkerComponents) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(worker)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_one_page_has_the_metrics_of_all_components() -> None:
    worker = WorkerComponents(("pairing",))
    assert collected(worker)["understudy_ready"] == 0
    one = SpecCollector([gauge("one", "One", lambda value: value)], lambda: 7.0)
    with worker.running("pairing", component(metrics=one)):
        found = collected(worker)
    assert (found["understudy_one"], found["understudy_ready"]) == (7.0, 1.0)
    assert found["understudy_cpu_seconds_total"] > 0
    assert found["understudy_build_info"] == 1
    assert "understudy_one" not in collected(worker)


def test_health_shows() -> None:
    worker = WorkerComponents(("pairing",))
    with worker.running("pairing", component(FAILING)):
        found = collected(worker)
    assert found["understudy_healthy"] == found["understudy_ready"] == 0


def test_the_catalogue_has_every_table() -> None:
    assert {spec.name for spec in (*PAIRING, *WORKER)} < {spec.name for spec in METRICS}
