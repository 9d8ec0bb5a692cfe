"""Declarations of the views; `tests/streams/clickhouse/test_analyst_views.py` asks them."""

from __future__ import annotations

from understudy.schemas.clickhouse.analyst_views import ANALYST_VIEWS, DESCRIBED, HOURLY
from understudy.schemas.clickhouse.relations import VIEWS

NAMES = {
    "rollout_health", "language_deltas", "latency_quantiles", "json_failures", "tool_call_changes",
    "cost_impact", "field_changes", "worst_pairs", "feedback", "accounting",
}  # fmt: skip


def test_what_analysts_ask_for_has_a_plain_name() -> None:
    assert {view.name for view in VIEWS} >= NAMES


def test_views_come_over_all_time_and_by_day() -> None:
    by_name = {view.name: view for view in ANALYST_VIEWS}
    for one in DESCRIBED:
        whole, daily = by_name[one.name], by_name[f"{one.name}_daily"]
        assert set(daily.types) - set(whole.types) == {"day"}
        assert "day" not in whole.types
        assert HOURLY in daily.source


def test_a_difference_has_an_interval() -> None:
    for view in ANALYST_VIEWS:
        if {"delta", "p95_ratio"} & set(view.types):
            assert {"approx_low", "approx_high"} <= set(view.types), view.name


def test_nothing_is_left_of_the_templates() -> None:
    for view in ANALYST_VIEWS:
        assert "{" not in view.source, view.name
