"""Series of rollouts: names as Prometheus wants them, values as decided, thresholds beside them."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import msgspec
import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.http.views import BROKEN, LOSSY, decided, policy, rollout_view, view
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import RolloutManifest, default_guardrails
from understudy.streams.http.materialized_view import MaterializedView, RolloutView
from understudy.streams.http.rollout_series import (
    GUARDRAIL_LABELS,
    PREFIX,
    RolloutCollector,
    Sample,
    samples,
    series_names,
)
from understudy.streams.monitoring.metric_catalogue import METRICS

MANY = policy(
    "{metric: error_rate, max_increase: 2pp, warn_margin: 1pp}, {metric: cost_usd, "
    "max_increase: 20%}, {metric: cost_usd, name: dear, max: 0.01}, {metric: output_tokens, "
    "max_increase: 50, action: alert}, {metric: json_valid_rate, min: 90%}, {metric: duration_p95, "
    "max_increase: 50%}, {metric: duration_p99, max: 60s}"
)
NAMES = series_names()


def samples_of(manifest: RolloutManifest, decision: Decision) -> list[Sample]:
    return list(samples({manifest.rollout_id: rollout_view(manifest, decision)}))


def value(found: list[Sample], name: str, **labels: str) -> float:
    (one,) = [
        s for s in found if s.name == PREFIX + name and labels.items() <= s.labels.items()
    ]  # fmt: skip
    return one.value


def registry(view: MaterializedView) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(RolloutCollector(view.all() if view.is_complete else None))
    return made


@pytest.fixture(scope="module")
def many() -> RolloutView:
    return rollout_view(MANY, decided(MANY).decision())


def test_each_number_of_a_decision_is_a_series(many: RolloutView) -> None:
    decision, found = many.decision, samples_of(MANY, many.decision)  # type: ignore[arg-type]
    assert decision is not None
    (errors,) = [e for e in decision.evidence if (e.guardrail, e.slice) == ("error_rate", "all")]
    of_errors = {"guardrail": "error_rate", "slice": "all"}
    assert value(found, "guardrail_harm_ratio", **of_errors) == errors.harm
    assert value(found, "guardrail_harm_threshold_ratio", **of_errors) == 0.02
    assert value(found, "guardrail_harm_lower_ratio", **of_errors) == errors.interval[0]
    assert value(found, "guardrail_units", **of_errors) == errors.units
    assert value(found, "guardrail_passed", **of_errors) == 1.0
    assert errors.log_rollback is not None
    weighted = errors.log_rollback + math.log(errors.weight)
    assert value(found, "guardrail_log_evidence", **of_errors) == weighted
    assert value(found, "rollout_stage_requests") == decision.stage.requests
    assert value(found, "rollout_stage_requests_threshold") == 1_500
    assert value(found, "rollout_stage_duration_threshold_seconds") == 120
    assert value(found, "rollout_log_evidence_threshold") == pytest.approx(-math.log(0.01))
    assert value(found, "rollout_info", stage="shadow", mode="shadow", candidate="heron-5") == 1.0


def test_units_end_the_names(many: RolloutView) -> None:
    found = samples_of(MANY, many.decision)  # type: ignore[arg-type]

    def ending(guardrail: str, quantity: str) -> set[str]:
        start = f"{PREFIX}guardrail_{quantity}_"
        return {
            s.name.removeprefix(start)
            for s in found
            if s.labels.get("guardrail") == guardrail
            and re.fullmatch(start + "(ratio|usd|tokens)", s.name)
        }

    assert ending("error_rate", "harm") == {"ratio"}
    assert ending("cost_usd", "candidate") == {"usd"}
    assert ending("cost_usd", "harm") == {"ratio"}  # a relative limit
    assert ending("dear", "harm_threshold") == {"usd"}
    assert ending("output_tokens", "harm_threshold") == {"tokens"}
    assert ending("duration_p95", "candidate") == {"ratio"}
    assert ending("duration_p99", "harm_threshold") == {"ratio"}


def test_what_each_harm_is_held_against_has_its_labels(many: RolloutView) -> None:
    """So that a rule can compare the two without further ado."""
    found = samples_of(MANY, many.decision)  # type: ignore[arg-type]
    keys = {(s.name, tuple(s.labels.items())) for s in found}
    harms = [s for s in found if re.search(r"guardrail_harm_(ratio|usd|tokens)$", s.name)]
    assert len({s.labels["guardrail"] for s in harms}) == 8
    for one in harms:
        threshold = one.name.replace("_harm_", "_harm_threshold_")
        assert (threshold, tuple(one.labels.items())) in keys


def test_verdicts_and_latches() -> None:
    manifest = policy()
    rolled_back = samples_of(manifest, decided(manifest, BROKEN).decision())
    assert value(rolled_back, "rollout_verdict", verdict="rollback") == 1.0
    assert value(rolled_back, "rollout_verdict", verdict="hold") == 0.0
    assert value(rolled_back, "rollout_latched") == 1.0
    assert value(rolled_back, "guardrail_breached", slice="all") == 1.0
    above = value(rolled_back, "rollout_log_evidence", action="rollback")
    assert above >= value(rolled_back, "rollout_log_evidence_threshold")
    promoted = samples_of(manifest, decided(manifest).decision())
    assert value(promoted, "rollout_verdict", verdict="promote") == 1.0
    assert value(promoted, "guardrail_breached", slice="all") == 0.0


def test_data_quality() -> None:
    manifest = policy()
    found = samples_of(manifest, decided(manifest, LOSSY).decision())
    share, limit = value(found, "rollout_unmatched_ratio"), 0.05
    assert share > value(found, "rollout_unmatched_threshold_ratio") == limit
    assert value(found, "rollout_data_quality_breached", limit="unmatched_share") == 1.0
    assert value(found, "rollout_data_quality_breached", limit="late_share") == 0.0


def test_before_anything_is_measured_there_are_thresholds_and_no_values() -> None:
    manifest = policy()
    found = samples_of(manifest, decided(manifest, windows=0).decision())
    names = {one.name for one in found}
    assert f"{PREFIX}guardrail_harm_threshold_ratio" in names
    assert f"{PREFIX}guardrail_harm_ratio" not in names
    assert value(found, "guardrail_breached") == 0.0
    assert list(samples({manifest.rollout_id: rollout_view(manifest, None)})) == []


def test_a_unit_of_a_later_release_costs_its_own_series_alone() -> None:
    decision = decided(policy()).decision()
    evidence = [msgspec.structs.replace(one, unit="furlongs") for one in decision.evidence]
    found = samples_of(policy(), msgspec.structs.replace(decision, evidence=evidence))
    assert value(found, "guardrail_passed", slice="all") == 1.0
    assert not any("guardrail_harm" in one.name for one in found)


def test_no_two_samples_are_the_same_series(many: RolloutView) -> None:
    found = samples_of(MANY, many.decision)  # type: ignore[arg-type]
    keys = [(s.name, frozenset(s.labels.items())) for s in found]
    assert len(keys) == len(set(keys)) > 100


def test_only_documented_names_and_labels_come_up(many: RolloutView) -> None:
    defaults = msgspec.structs.replace(policy(), guardrails=default_guardrails())
    for manifest in (MANY, defaults):
        for one in samples_of(manifest, decided(manifest, BROKEN).decision()):
            labels, meaning = NAMES[one.name]
            assert set(one.labels) == set(labels), one.name
            assert one.meaning == meaning


@pytest.mark.parametrize("name", NAMES)
def test_names_follow_prometheus_habits(name: str) -> None:
    """The rules that promtool checks, and what its authors recommend about units."""
    labels, meaning = NAMES[name]
    assert re.fullmatch(r"understudy_[a-z]+(_[a-z]+)*", name)
    assert meaning
    assert not re.search(r"_(total|count|sum|bucket|info)$", name.removesuffix("rollout_info"))
    words = name.split("_")
    assert not {"gauge", "counter", "histogram", "ms", "milliseconds", "percent"} & set(words)
    assert not {"seconds", "ratio", "usd"} & set(words[:-1])  # a unit comes last
    assert not {"le", "quantile", "job", "instance"} & set(labels)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in labels)
    assert not any("pair" in label or "request" in label for label in labels)


def test_no_name_is_one_of_the_worker() -> None:
    assert not {spec.name for spec in METRICS} & NAMES.keys()


def test_the_text_can_be_read_back(many: RolloutView) -> None:
    """Whatever the names contain: they come from policies and events."""
    wild = policy(rollout_id='"a\\b\n{}"')
    decision = decided(policy()).decision()
    odd = [msgspec.structs.replace(one, slice='language:"\\\n') for one in decision.evidence[:1]]
    decision = msgspec.structs.replace(decision, rollout_id=wild.rollout_id, evidence=odd)
    made = registry(view(many, rollout_view(wild, decision)))
    expected = [*samples({"a": rollout_view(wild, decision)}), *samples({"b": many})]
    wanted = {(s.name, frozenset(s.labels.items())): s.value for s in expected}
    for text, read in (
        (generate_latest(made), text_string_to_metric_families),
        (generate_openmetrics(made), read_openmetrics),
    ):
        families = list(read(text.decode()))[1:]
        got = {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}
        assert got == wanted
        assert {family.type for family in families} == {"gauge"}


def test_an_incomplete_view_has_no_series(many: RolloutView) -> None:
    for is_complete in (False, True):
        text = generate_latest(registry(view(many, is_complete=is_complete))).decode()
        known, *families = text_string_to_metric_families(text)
        assert known.name == "understudy_rollouts_known"
        assert [sample.value for sample in known.samples] == [float(is_complete)]
        assert bool(families) is is_complete


def test_labels_of_guardrails_name_no_request() -> None:
    assert set(GUARDRAIL_LABELS) == {"rollout_id", "guardrail", "metric", "slice", "action"}


def test_no_label_acts_on_the_terminal_that_shows_it() -> None:
    hostile = "a\x1b[2J\x9b1m\u202e\U000e0001"
    decision = decided(MANY).decision()
    evidence = [
        msgspec.structs.replace(one, guardrail=hostile, slice=f"language:{hostile}")
        for one in decision.evidence
    ]
    decision = msgspec.structs.replace(decision, rollout_id=hostile, evidence=evidence)
    rollout = rollout_view(MANY, decision)
    made = CollectorRegistry()
    made.register(RolloutCollector({hostile: rollout}))
    lines = generate_latest(made).decode().split("\n")
    assert all(line.isprintable() for line in lines)
    assert any(r"a\\x1b[2J\\x9b1m" in line for line in lines)


def test_a_decision_that_has_no_series_hides_no_other(many: RolloutView) -> None:
    """Here a number beyond all floating-point ones, as policies once could hold."""
    assert many.published is not None
    stage = msgspec.structs.replace(many.published.decision.stage, requests=10**310)
    decision = msgspec.structs.replace(many.published.decision, stage=stage)
    bad = replace(many, published=replace(many.published, decision=decision))
    with structlog.testing.capture_logs() as logs:
        found = list(samples({"bad": bad, "good": many}))
    assert found == list(samples({"good": many}))
    assert [(log["event"], log["rollout_id"]) for log in logs] == [("http.series_failed", "bad")]
