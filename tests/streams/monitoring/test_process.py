"""A worker as a whole: as bad as its worst part, and complete only with all of them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.monitoring.workers import FINE, part
from understudy.streams.monitoring.health import Report, Status, joined
from understudy.streams.monitoring.metric_specs import SpecCollector, gauge
from understudy.streams.monitoring.pairing_metrics import METRICS, PAIRING
from understudy.streams.monitoring.process import PROCESS, Process

WORRIED = Report(Status.DEGRADED, ("ClickHouse is away",))
ILL = Report(Status.BAD, ("it stands still",))


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], FINE),
        ([FINE, FINE], FINE),
        ([FINE, WORRIED], WORRIED),
        ([WORRIED, ILL, FINE], Report(Status.BAD, ("it stands still", "ClickHouse is away"))),
    ],
)
def test_several_are_as_bad_as_the_worst(reports: list[Report], expected: Report) -> None:
    assert joined(reports) == expected


def test_a_worker_is_ready_with_all_its_parts() -> None:
    process = Process(("pairing", "deciding"))
    assert process.health() == FINE, "what has not begun is not ill"
    assert process.readiness() == Report(
        Status.BAD, ("pairing has not begun", "deciding has not begun")
    )
    with process.having("pairing", part()):
        assert process.readiness() == Report(Status.BAD, ("deciding has not begun",))
        with process.having("deciding", part(WORRIED)):
            assert process.readiness() == process.health() == WORRIED
        with process.having("deciding", part(ILL)):
            assert not process.health().ok
    assert not process.readiness().ok


def served(process: Process) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(process)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_one_page_has_the_metrics_of_all_parts() -> None:
    process = Process(("pairing",))
    assert served(process)["understudy_ready"] == 0
    one = SpecCollector([gauge("one", "One", lambda value: value)], lambda: 7.0)
    with process.having("pairing", part(metrics=one)):
        found = served(process)
    assert (found["understudy_one"], found["understudy_ready"]) == (7.0, 1.0)
    assert found["understudy_cpu_seconds_total"] > 0
    assert found["understudy_build_info"] == 1
    assert "understudy_one" not in served(process)


def test_health_shows() -> None:
    process = Process(("pairing",))
    with process.having("pairing", part(ILL)):
        found = served(process)
    assert found["understudy_healthy"] == found["understudy_ready"] == 0


def test_the_catalogue_has_every_table() -> None:
    assert {spec.name for spec in (*PAIRING, *PROCESS)} < {spec.name for spec in METRICS}
