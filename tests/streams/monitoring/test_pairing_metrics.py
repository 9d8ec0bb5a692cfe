"""Metrics: named by the rules, documented, and counters that never fall."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.monitoring.snapshots import snapshot
from understudy.streams.monitoring.metric_catalogue import METRICS
from understudy.streams.monitoring.metric_specs import MetricSpec, SpecCollector
from understudy.streams.monitoring.pairing_metrics import OUTCOMES, PAIRING
from understudy.streams.monitoring.pairing_snapshot import PairingSnapshot
from understudy.streams.pairing.records import Tally

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def collected(*snapshots: PairingSnapshot) -> dict[tuple[str, str], float]:
    """Samples by name and label values, the source first, after the last of several scrapes."""
    pending = list(snapshots)
    registry = CollectorRegistry()
    registry.register(SpecCollector(PAIRING, lambda: pending.pop(0)))
    for _ in snapshots:
        text = generate_latest(registry).decode()
    return {
        (sample.name, _values(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _values(labels: dict[str, str]) -> str:
    names = ("source", "outcome", "reason", "partition", "version")
    return "/".join(labels[name] for name in names if name in labels)


def test_values() -> None:
    found = collected(snapshot())
    expected = {
        ("understudy_events_total", "events/paired"): 8,
        ("understudy_events_total", "events/late"): 1,
        ("understudy_events_total", "events/single"): 0,
        ("understudy_events_read_total", "events"): 12,
        ("understudy_events_read_total", "feedback"): 7,
        ("understudy_events_total", "feedback/single"): 6,
        ("understudy_events_read_bytes_total", "events"): 3400,
        ("understudy_pairs_total", ""): 4,
        ("understudy_dead_letters_total", "schema"): 3,
        ("understudy_lost_records_total", "events"): 2,
        ("understudy_unreadable_records_total", "events"): 5,
        ("understudy_position_lag_records", "events/0"): 10,
        ("understudy_position_offset", "events/1"): 0,
        ("understudy_position_lag_records", "feedback/0"): 1,
        ("understudy_committed_offset", "events/0"): 100,
        ("understudy_watermark_lag_seconds", "events/0"): 2.5,
        ("understudy_waiting_sides", "events/0"): 3,
        ("understudy_loader_rows_total", ""): 70,
        ("understudy_loader_buffered_bytes", ""): 55,
        ("understudy_clickhouse_up", ""): 1,
    }
    assert found.items() >= expected.items()


def test_what_is_not_known_is_left_out() -> None:
    found = collected(snapshot())
    for name in ("position_lag_records", "committed_offset", "watermark_lag_seconds"):
        assert (f"understudy_{name}", "events/1") not in found


def test_counters_never_fall() -> None:
    dip = snapshot(tally={"read": 5}, dead_letters={})
    found = collected(snapshot(), dip)
    assert found["understudy_events_read_total", "events"] == 12
    assert found["understudy_events_total", "events/paired"] == 8
    assert found["understudy_dead_letters_total", "schema"] == 3
    assert collected(snapshot(), dip, snapshot(tally={"read": 13}))[
        "understudy_events_read_total", "events"
    ] == 13  # fmt: skip


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_names_follow_the_rules(spec: MetricSpec[Any]) -> None:
    assert re.fullmatch(r"understudy_[a-z]+(_[a-z]+)*", spec.name)
    assert spec.name.endswith("_total") is (spec.kind == "counter")
    # Their values are few: evaluators are named by policies, rollouts are those with traffic enough
    # to compare with their past, the rest is named by the code and the broker.
    bounded = {
        "source", "outcome", "reason", "partition", "topic", "version", "evaluator", "rollout_id",
        "side",
    }  # fmt: skip
    assert set(spec.labels) <= bounded
    assert "milli" not in spec.name
    assert not spec.name.endswith(("_ms", "_count", "_percent"))


def test_every_outcome_of_an_event_is_told() -> None:
    not_outcomes = {"read", "read_bytes", "pairs"} | {
        name for name in Tally.__dataclass_fields__ if name.startswith("capture")
    }
    assert set(OUTCOMES) == set(Tally.__dataclass_fields__) - not_outcomes


def test_names_differ() -> None:
    assert len({spec.name for spec in METRICS}) == len(METRICS)


def test_the_documentation_names_these_metrics_and_no_others() -> None:
    documented = set(re.findall(r"^\| `(understudy_[a-z_]+)`", OPERATIONS.read_text(), re.M))
    assert documented == {spec.name for spec in METRICS}
