"""Metrics are read from a snapshot, and counters never decrease."""

from __future__ import annotations

from prometheus_client.core import Metric

from understudy.streams.monitoring.metric_specs import MetricSpec, SpecCollector, counter, gauge

Snapshot = dict[str, float]
LABELLED: MetricSpec[Snapshot] = MetricSpec(
    "understudy_lag", "gauge", ("topic",), "Records behind.",
    lambda seen: {(name,): value for name, value in seen.items()},
)  # fmt: skip


def collected(snapshot: Snapshot, *specs: MetricSpec[Snapshot]) -> dict[str, Metric]:
    return {family.name: family for family in SpecCollector(specs, lambda: snapshot).collect()}


def test_names_have_the_prefix_and_counters_their_suffix() -> None:
    events = counter("events", "Events read.", lambda seen: seen["n"])
    memory = gauge("memory_bytes", "Memory.", lambda seen: seen["n"])
    assert (events.name, memory.name) == ("understudy_events_total", "understudy_memory_bytes")
    found = collected({"n": 3.0}, events, memory)
    assert next((s.name, s.value) for s in found["understudy_events"].samples) == (
        "understudy_events_total", 3.0,
    )  # fmt: skip
    assert found["understudy_memory_bytes"].samples[0].value == 3.0
    assert found["understudy_memory_bytes"].documentation == "Memory."


def test_values_have_labels() -> None:
    (family,) = collected({"events": 5.0, "feedback": 0.0}, LABELLED).values()
    assert {s.labels["topic"]: s.value for s in family.samples} == {"events": 5.0, "feedback": 0.0}


def test_every_collection_takes_a_fresh_snapshot() -> None:
    snapshots = iter([{"events": 1.0}, {"events": 2.0}])
    collector = SpecCollector([LABELLED], lambda: next(snapshots))
    values = [next(iter(collector.collect())).samples[0].value for _ in range(2)]
    assert values == [1.0, 2.0]


def test_a_counter_keeps_its_highest_value_while_a_partition_moves() -> None:
    spec: MetricSpec[Snapshot] = MetricSpec(
        "understudy_read_total", "counter", ("topic",), "Read.", LABELLED.read
    )
    snapshots = iter([{"events": 5.0}, {}, {"events": 2.0}, {"events": 6.0}])
    collector = SpecCollector([spec], lambda: next(snapshots))
    values = []
    for _ in range(4):
        (family,) = collector.collect()
        values.append([s.value for s in family.samples if s.name.endswith("_total")])
    assert values == [[5.0], [5.0], [5.0], [6.0]]


def test_a_gauge_may_decrease() -> None:
    snapshots = iter([{"events": 5.0}, {"events": 2.0}])
    collector = SpecCollector([LABELLED], lambda: next(snapshots))
    assert [next(iter(collector.collect())).samples[0].value for _ in range(2)] == [5.0, 2.0]
