"""From a file, or from the policies in force, to the routes of a workflow."""

from __future__ import annotations

import re

import pytest

from understudy.gateways.route_table import (
    Route,
    RouteTable,
    RouteTableError,
    read_route_table,
    table_of_policies,
)
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollouts import Models

FILE = """
default: heron-4
routes:
  - workflows: [checkout, refunds]
    rollout_id: checkout-1
    models: {stable: heron-4, candidate: heron-5}
    shadow_share: 50%
    control_share: 0.1
    budget_usd_per_day: 20
  - workflows: [checkout]
    rollout_id: checkout-2
    models: {stable: heron-4, candidate: ibis-1}
    max_in_flight: 8
    timeout_s: 30
"""
FIRST = Route(
    rollout_id="checkout-1", models=Models("heron-4", "heron-5"),
    workflows=("checkout", "refunds"), shadow_share=0.5, control_share=0.1, budget_usd_per_day=20,
)  # fmt: skip
SECOND = Route(
    rollout_id="checkout-2", models=Models("heron-4", "ibis-1"), workflows=("checkout",),
    max_in_flight=8, timeout_s=30,
)  # fmt: skip


def test_file_says_which_rollouts_a_workflow_runs() -> None:
    table = read_route_table(FILE)
    assert table.routes("checkout") == (FIRST, SECOND)
    assert table.routes("refunds") == (FIRST,)
    assert table.routes("search") == table.routes(None) == ()
    assert table.rollout_ids == {"checkout-1", "checkout-2"}
    assert table.stable_model("checkout") == table.stable_model("search") == "heron-4"
    assert table.all_routes() == {FIRST, SECOND}


def test_route_without_workflows_is_for_all_that_no_route_names() -> None:
    rest = Route(rollout_id="rest", models=Models("heron-4", "heron-5"))
    table = RouteTable((FIRST, rest))
    assert table.routes("search") == table.routes(None) == (rest,)
    assert table.routes("checkout") == (FIRST,)
    assert RouteTable(()).stable_model("search") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routes: [", "routes.yaml: while parsing"),
        ("- a", "routes.yaml: Expected `object`"),
        ("routes: []\nmodel: x", "unknown field `model`"),
        (FILE.replace("rollout_id: checkout-2", "rollout: 2"), "at `$.routes[1]`"),
        (FILE.replace("50%", "150%"), "150% is no share"),
        (FILE.replace("50%", "5pp"), "is no share"),
        (FILE.replace("checkout-2", "checkout-1"), "two routes are of the rollout checkout-1"),
        (FILE.replace("heron-4, candidate: ibis-1", "crane, candidate: ibis-1"),
         "checkout: its rollouts have different stable models (crane, heron-4)"),
        (FILE.replace("timeout_s: 30", "timeout_s: 0"), "timeout_s"),
        ("x" * 1_100_000, "more than"),
    ],
)  # fmt: skip
def test_table_that_cannot_be_used_says_why(text: str, words: str) -> None:
    with pytest.raises(RouteTableError, match=re.escape(words)):
        read_route_table(text, "routes.yaml")


def test_policies_in_force_make_a_table() -> None:
    models = "models: {stable: heron-4, candidate: heron-5}"
    named = read_manifest(f"rollout_id: a\n{models}\nworkflows: [checkout]")
    rest = read_manifest(f"rollout_id: b\n{models}")
    table = table_of_policies([named, rest], "heron-3")
    assert [route.rollout_id for route in table.routes("checkout")] == ["a"]
    assert [route.rollout_id for route in table.routes("search")] == ["b"]
    assert table.default_model == "heron-3"
