"""The examples: their URLs are served, their queries answered, their series exposed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.streams.http.rollout_tools import (
    first_value,
    hook_payload,
    hook_succeeds,
    is_in_range,
    phase_of,
    query_path,
    web_measurement,
)
from tests.streams.http.views import BROKEN, NOW, Answer, ask, decided, policy, rollout_view, view
from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollouts import compile_manifest
from understudy.streams.http.materialized_view import MaterializedView
from understudy.streams.http.rollout_series import series_names
from understudy.streams.monitoring.metric_catalogue import METRICS

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = series_names()


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text("utf-8")))


# Argo Rollouts

RAMP = read_manifest((EXAMPLES / "argo-rollouts" / "policy.yaml").read_text("utf-8"))
TEMPLATES = {
    one["metadata"]["name"]: one["spec"]
    for one in documents("argo-rollouts/analysis-templates.yaml")
}
(ROLLOUT,) = documents("argo-rollouts/rollout.yaml")
CANARY_STEPS = ROLLOUT["spec"]["strategy"]["canary"]


def analyses() -> Iterator[tuple[str, dict[str, str]]]:
    """Each use of a template, with its arguments; the one in the background first."""
    for one in [CANARY_STEPS["analysis"], *(s["analysis"] for s in CANARY_STEPS["steps"]
                                            if "analysis" in s)]:  # fmt: skip
        (template,) = one["templates"]
        yield template["templateName"], {arg["name"]: arg["value"] for arg in one["args"]}


def test_argos_arguments_are_those_of_the_policy() -> None:
    stages = [stage.name for stage in compile_manifest(RAMP).stages]
    used = list(analyses())
    assert [name for name, _ in used] == ["understudy-no-harm"] + ["understudy-passed"] * 3
    assert [args.get("stage") for _, args in used] == [None, *stages]
    for name, args in used:
        assert set(args) == {arg["name"] for arg in TEMPLATES[name]["args"]}
        assert args["rollout-id"] == RAMP.rollout_id


def test_argos_weights_are_the_shares_of_the_stages() -> None:
    shares = [100 * stage.share for stage in compile_manifest(RAMP).stages if stage.share]
    weights = [step["setWeight"] for step in CANARY_STEPS["steps"] if "setWeight" in step]
    assert weights == shares
    assert RAMP.promotion == "automatic"


def measure(made: MaterializedView, name: str, args: dict[str, str]) -> Any:
    (metric,) = TEMPLATES[name]["metrics"]
    url = re.sub(r"\{\{args\.([\w-]+)\}\}", lambda found: args[found[1]],
                 metric["provider"]["web"]["url"])  # fmt: skip
    parts = urlsplit(url)
    answer = ask(made, "GET", f"{parts.path}?{parts.query}")
    return web_measurement(metric, answer.status, answer.body)


def counted(decision: Decision) -> Decision:
    """As if some events had just been counted."""
    return msgspec.structs.replace(decision, windows_until=NOW)


@pytest.mark.embedded
def test_argos_templates_follow_a_rollout() -> None:
    def phases(made: MaterializedView) -> list[str]:
        return [measure(made, name, args) for name, args in analyses()]

    empty = view(rollout_view(RAMP, decided(RAMP, windows=0).decision()))
    assert phases(empty) == ["Inconclusive"] * 4
    started = view(rollout_view(RAMP, counted(decided(RAMP, windows=0).decision())))
    assert phases(started) == ["Successful"] + ["Inconclusive"] * 3
    moved = decided(RAMP, windows=0)
    moved.promote()
    second = view(rollout_view(RAMP, counted(moved.decision())))
    assert phases(second) == ["Successful", "Successful", "Inconclusive", "Inconclusive"]
    killed = view(rollout_view(RAMP, moved.kill("no")))
    assert phases(killed) == ["Failed"] * 4
    assert phases(view()) == ["Inconclusive"] * 4


def test_argos_limits_wait_for_days_and_end_with_the_first_pass_or_failure() -> None:
    (passed,) = TEMPLATES["understudy-passed"]["metrics"]
    day = 24 * 60 * 2
    assert phase_of(passed, ["Inconclusive"] * 13 * day) == "Running"
    assert phase_of(passed, ["Inconclusive"] * 15 * day) == "Inconclusive"
    assert phase_of(passed, ["Inconclusive"] * day + ["Successful"]) == "Successful"
    assert phase_of(passed, ["Inconclusive"] * day + ["Failed"]) == "Failed"
    (harmless,) = TEMPLATES["understudy-no-harm"]["metrics"]
    assert phase_of(harmless, ["Successful"] * 20 * day) == "Running"
    assert phase_of(harmless, ["Successful"] * day + ["Failed"]) == "Failed"
    assert phase_of(harmless, ["Error"] * 50 + ["Successful"]) == "Running"


# Flagger

(CANARY,) = documents("flagger/canary.yaml")
METRIC_TEMPLATES = {
    (one["metadata"]["namespace"], one["metadata"]["name"]): one["spec"]
    for one in documents("flagger/metric-templates.yaml")
}


def flagger_views() -> dict[str, MaterializedView]:
    """Decisions of the made-up world, emitted under the example's name."""
    made = policy(stages="[shadow]")
    return {
        "holding": view(rollout_view(made, decided(made, windows=5).decision())),
        "promotable": view(rollout_view(made, decided(made).decision())),
        "rolled back": view(rollout_view(made, decided(made, BROKEN).decision())),
        "unknown": view(),
    }


@pytest.mark.embedded
def test_flaggers_hooks_hold_promote_and_roll_back() -> None:
    hooks = CANARY["spec"]["analysis"]["webhooks"]
    assert [hook["type"] for hook in hooks] == ["confirm-promotion", "rollback"]

    def called(made: MaterializedView, hook: dict[str, Any]) -> Answer:
        assert hook["metadata"]["rollout_id"] == "assistant-heron-5"
        metadata = {**hook["metadata"], "rollout_id": "helpdesk"}
        return ask(made, "POST", urlsplit(hook["url"]).path, json=hook_payload(metadata))

    succeeds = {
        name: [hook_succeeds(called(made, hook).status) for hook in hooks]
        for name, made in flagger_views().items()
    }
    assert succeeds == {
        "holding": [False, False],
        "promotable": [True, False],
        "rolled back": [False, True],
        "unknown": [False, False],
    }


@pytest.mark.embedded
def test_flaggers_metrics_have_one_value_and_fail_with_a_rollback_or_without_events() -> None:
    def check(made: MaterializedView, metric: dict[str, Any], now: dt.datetime = NOW) -> bool:
        place = (CANARY["metadata"]["namespace"], metric["templateRef"]["name"])
        template = METRIC_TEMPLATES[place]
        assert template["provider"]["type"] == "prometheus"
        path = urlsplit(template["provider"]["address"]).path
        variables = {**metric["templateVariables"], "rollout": "helpdesk"}
        query = re.sub(r"\{\{ variables\.(\w+) \}\}", lambda v: variables[v[1]], template["query"])
        answer = ask(made, "GET", path + query_path(query), now=now)
        assert len(answer.json()["data"]["result"]) <= 1
        return is_in_range(first_value(answer.status, answer.body), metric["thresholdRange"])

    metrics = CANARY["spec"]["analysis"]["metrics"]
    assert len(metrics) == len(METRIC_TEMPLATES) == 2
    views = flagger_views()
    made = policy(stages="[shadow]")
    empty = view(rollout_view(made, decided(made, windows=0).decision()))
    tomorrow = NOW + dt.timedelta(days=1)
    for name in ("holding", "promotable"):
        assert all(check(views[name], metric) for metric in metrics)
    for metric in metrics:
        for unanswered, now in ((empty, NOW), (views["promotable"], tomorrow)):
            with pytest.raises(LookupError, match="no values"):
                check(unanswered, metric, now)
    for now in (NOW, tomorrow):
        assert [check(views["rolled back"], metric, now) for metric in metrics] == [False, True]


# Prometheus

(ALERTS,) = documents("prometheus/alerts.yaml")
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_rules_use_series_and_labels_that_are_exposed(rule: dict[str, Any]) -> None:
    exposed: set[str] = set()
    for name, inside in re.findall(r"(understudy_\w+)(?:\{([^}]*)\})?", rule["expr"]):
        labels, _ = NAMES[name]
        assert set(re.findall(r"(\w+)=", inside)) <= set(labels)
        exposed |= set(labels)
    assert exposed
    for label in re.findall(r"(?:ignoring|on) \((\w+)\)", rule["expr"]):
        assert label in exposed
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= exposed
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_rules_compare_series_of_the_same_labels() -> None:
    """So that one finds its threshold; what only one side has is ignored by name."""
    for rule in RULES:
        for left, ignored, right in re.findall(
            r"(understudy_\w+)\S*\s+(?:>|and)\s+(?:ignoring \((\w+)\) )?(?:[\d.]+ \* )?"
            r"(understudy_\w+)", rule["expr"]
        ):  # fmt: skip
            assert set(NAMES[left][0]) - {ignored} == set(NAMES[right][0]), rule["alert"]


@pytest.mark.parametrize(
    "rule",
    [
        rule
        for (document,) in [documents("prometheus/drift_alerts.yaml")]
        for group in document["groups"]
        for rule in group["rules"]
    ],
    ids=lambda rule: rule["alert"],
)
def test_rules_about_drift_use_series_that_workers_expose(rule: dict[str, Any]) -> None:
    (name,) = re.findall(r"understudy_\w+", rule["expr"])
    (spec,) = [spec for spec in METRICS if spec.name == name]
    used = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
    assert set(used) <= set(spec.labels)
    for labels in re.findall(r"by \(([\w, ]+)\)", rule["expr"]):
        assert set(labels.split(", ")) == set(spec.labels)


JOBS = {
    job["job_name"]: job
    for (config,) in [documents("prometheus/scrape.yaml")]
    for job in config["scrape_configs"]
}


def kept(job: dict[str, Any], names: Iterable[str]) -> set[str]:
    """The names that Prometheus stores after `metric_relabel_configs`."""
    left = set(names)
    for rule in job["metric_relabel_configs"]:
        matching = {name for name in left if re.fullmatch(rule["regex"], name)}
        left = matching if rule["action"] == "keep" else left - matching
    return left


@pytest.mark.embedded
def test_the_page_to_scrape_has_the_series_of_the_rules() -> None:
    job = JOBS["understudy-rollouts"]
    answer = ask(flagger_views()["rolled back"], "GET", job["metrics_path"])
    assert answer.status == 200
    families = {one.name for one in text_string_to_metric_families(answer.body.decode())}
    rules = {name for rule in RULES for name in re.findall(r"understudy_\w+", rule["expr"])}
    assert rules <= kept(job, families)


def test_both_jobs_together_store_everything_and_rollouts_once() -> None:
    workers = {spec.name for spec in METRICS}
    rollouts, own = JOBS["understudy-rollouts"], JOBS["understudy-workers"]
    assert kept(rollouts, [*NAMES, *workers]) == set(NAMES)
    assert kept(own, [*NAMES, *workers]) == workers | {"understudy_rollouts_known"}


# All


def test_every_address_is_the_apis() -> None:
    texts = [file.read_text("utf-8") for file in sorted(EXAMPLES.rglob("*.yaml"))]
    addresses = re.findall(r"https?://([\w.:-]+)|targets: \[\"([\w.:-]+)\"\]", "\n".join(texts))
    assert {a or b for a, b in addresses} == {"understudy.understudy.svc:8780"}
