"""What a worker that evaluates shows of itself."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from understudy.streams.evaluating.asking import AskingTotals
from understudy.streams.evaluating.evaluating_runner import EvaluatingParts
from understudy.streams.monitoring.evaluating_metrics import (
    EVALUATING,
    JUDGE_DOWN_S,
    evaluating_health,
    expose_evaluating,
)
from understudy.streams.monitoring.health import HealthStatus
from understudy.streams.monitoring.metric_specs import SpecCollector
from understudy.streams.monitoring.worker_components import WorkerComponents


def parts(asking: AskingTotals | None = None, updated_s: float = 100.0) -> EvaluatingParts:
    reader = SimpleNamespace(
        counts=Counter(read=10, sampled=4, pairs=2, written=3),
        partitions=2,
        unfinished=1,
        updated_s=updated_s,
        lag=lambda: {0: 5, 1: 0},
    )
    queue = SimpleNamespace(
        left_out=Counter({("helpfulness@1", "queue"): 7}), waiting=lambda: {"helpfulness@1": 4}
    )
    plan = SimpleNamespace(
        scored=Counter({"number_agreement@1": 1}),
        left_out=Counter({("number_agreement@1", "no_control"): 2}),
    )
    asked = None if asking is None else SimpleNamespace(totals=asking)
    return cast(Any, EvaluatingParts)(reader, queue, plan, asked)


def exposed(observed: EvaluatingParts) -> str:
    registry = CollectorRegistry()
    registry.register(SpecCollector(EVALUATING, lambda: observed))
    return generate_latest(registry).decode()


def test_all_counts_are_exposed() -> None:
    totals = AskingTotals(retries=3, in_flight=2)
    totals.judged["helpfulness@1"] = 5
    totals.not_judged["helpfulness@1", "timeout"] = 6
    totals.calls["helpfulness@1"] = 9
    totals.cost_usd["helpfulness@1"] = 0.25
    text = exposed(parts(totals))
    for line in (
        'understudy_evaluating_judged_total{evaluator="helpfulness@1"} 5.0',
        'understudy_evaluating_judged_total{evaluator="number_agreement@1"} 1.0',
        'understudy_evaluating_not_judged_total{evaluator="helpfulness@1",reason="timeout"} 6.0',
        'understudy_evaluating_not_judged_total{evaluator="helpfulness@1",reason="queue"} 7.0',
        'understudy_evaluating_calls_total{evaluator="helpfulness@1"} 9.0',
        'understudy_evaluating_cost_usd_total{evaluator="helpfulness@1"} 0.25',
        'understudy_evaluating_lag_records{partition="0"} 5.0',
        "understudy_evaluating_events_total 10.0",
        "understudy_evaluating_calls_in_flight 2.0",
    ):
        assert line in text


def test_without_a_judge_there_is_nothing_about_one() -> None:
    text = exposed(parts())
    assert "understudy_evaluating_calls_total{" not in text
    assert "understudy_evaluating_retries_total 0.0" in text


@pytest.mark.parametrize(
    ("silent_s", "failing_s", "status"),
    [
        (0.0, None, HealthStatus.OK),
        (0.0, JUDGE_DOWN_S - 1, HealthStatus.OK),
        (0.0, JUDGE_DOWN_S, HealthStatus.DEGRADED),
        (60.0, None, HealthStatus.FAILING),
    ],
)
def test_a_judge_that_is_away_is_no_reason_for_a_restart(
    silent_s: float, failing_s: float | None, status: HealthStatus
) -> None:
    totals = AskingTotals(failure="HTTP 401: no key")
    now_s = 1_000.0
    totals.failing_since_s = None if failing_s is None else now_s - failing_s
    report = evaluating_health(parts(totals, now_s - silent_s), now_s, 60.0)
    assert report.status is status
    assert report.ok is (status is not HealthStatus.FAILING)
    if status is HealthStatus.DEGRADED:
        assert "HTTP 401: no key" in report.reasons[0]


def test_it_is_a_component_of_the_worker() -> None:
    components = WorkerComponents(("evaluating",))
    assert not components.readiness().ok
    with expose_evaluating(components, 60.0, parts(updated_s=float("inf"))):
        assert components.readiness().ok
