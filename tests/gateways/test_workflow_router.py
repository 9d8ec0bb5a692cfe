"""Product code names a workflow; tables come, change and go under it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.gateways.rig import AT, Model, Published, allocation
from tests.gateways.virtual_time import run
from understudy.gateways.call_errors import MIRROR_DROPPED
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.request_context import RequestContext
from understudy.gateways.route_table import Route, RouteTable
from understudy.gateways.router import Router
from understudy.gateways.workflow_router import (
    FIRST_TABLE_TIMEOUT_S,
    UnknownWorkflow,
    WorkflowRouter,
    router_maker,
)
from understudy.schemas.events import Error
from understudy.schemas.rollouts import Models


def route(rollout_id: str, *workflows: str, candidate: str = "heron-5") -> Route:
    return Route(
        rollout_id=rollout_id, models=Models("heron-4", candidate), workflows=tuple(workflows)
    )


class Gateway:
    """A WorkflowRouter over a table that a test replaces."""

    def __init__(self, *routes: Route, default: str | None = "heron-3") -> None:
        self.table = RouteTable(routes, default)
        self.published = Published()
        self.made: list[Route] = []
        self.router = WorkflowRouter(lambda: self.table, self.make, self.ask)

    def make(self, made: Route) -> Router[..., Any]:
        self.made.append(made)
        shadow = allocation(rollout_id=made.rollout_id)
        return Router(
            made.rollout_id,
            stable=Model(made.models.stable),
            candidate=Model(made.models.candidate),
            stable_model=made.models.stable,
            candidate_model=made.models.candidate,
            decisions=FixedAllocations(shadow),
            publisher=self.published,
            now=lambda: AT,
        )

    async def ask(self, model: str, prompt: str) -> str:
        return f"{model} alone: {prompt}"

    async def served(self, workflow: str | None, **context: Any) -> Any:
        answer = await self.router.call(workflow, RequestContext(**context), "hi")
        await self.router.aclose(timeout_s=3_600.0)
        return answer

    @property
    def pairs(self) -> set[tuple[str, str | None]]:
        return {(e.rollout_id, e.workflow) for e in self.published.events}


def test_workflow_runs_its_rollout() -> None:
    gateway = Gateway(route("a", "checkout"), route("b"))
    assert run(gateway.served("checkout")) == "heron-4: hi"
    assert gateway.pairs == {("a", "checkout")}
    assert run(gateway.served("search")) == run(gateway.served(None)) == "heron-4: hi"
    assert gateway.pairs == {("a", "checkout"), ("b", "search"), ("b", None)}
    assert [one.rollout_id for one in gateway.made] == ["a", "b"]


def test_two_candidates_share_one_answer_of_stable() -> None:
    gateway = Gateway(route("a", "checkout"), route("b", "checkout", candidate="ibis-1"))
    assert run(gateway.served("checkout")) == "heron-4: hi"
    assert gateway.pairs == {("a", "checkout"), ("b", "checkout")}
    assert len({e.pair_id for e in gateway.published.events}) == 1


def test_workflow_without_a_route_is_served_by_the_default_model() -> None:
    assert run(Gateway(route("a", "checkout")).served("search")) == "heron-3 alone: hi"
    with pytest.raises(UnknownWorkflow, match="no route serves search"):
        run(Gateway(default=None).served("search"))
    with pytest.raises(UnknownWorkflow, match="requests without a workflow"):
        run(Gateway(default=None).served(None))


UNREAD = RouteTable((), None, is_complete=False)


def test_requests_before_the_policies_are_read_wait_for_them() -> None:
    gateway = Gateway(default=None)
    gateway.table = UNREAD
    gateway.router = WorkflowRouter(lambda: gateway.table, gateway.make, gateway.ask)

    async def asked() -> Any:
        answer = asyncio.ensure_future(gateway.served("checkout"))
        await asyncio.sleep(3.0)
        gateway.table = RouteTable([route("a", "checkout")])
        return await answer

    assert run(asked()) == "heron-4: hi"
    assert gateway.pairs == {("a", "checkout")}


def test_requests_do_not_wait_for_ever_nor_where_a_default_model_serves() -> None:
    gateway = Gateway()
    gateway.table = UNREAD
    gateway.router = WorkflowRouter(lambda: gateway.table, gateway.make, gateway.ask)

    async def waited_s() -> float:
        with pytest.raises(UnknownWorkflow, match="have not been read"):
            await gateway.served("checkout")
        return asyncio.get_running_loop().time()

    assert run(waited_s()) == pytest.approx(FIRST_TABLE_TIMEOUT_S, abs=0.1)
    gateway.table = RouteTable((), "heron-3", is_complete=False)
    assert run(gateway.served("checkout")) == "heron-3 alone: hi"


def test_a_table_that_cannot_be_had_leaves_the_one_before_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = Gateway(route("a", "checkout"))
    gateway.table = None  # type: ignore[assignment]
    gateway.router._table = lambda: gateway.table.routes("x") and gateway.table
    for _ in range(3):
        assert run(gateway.served("checkout")) == "heron-4: hi"
    assert len(caplog.records) == 1


def test_newer_table_replaces_what_changed_alone() -> None:
    kept, old, new = route("a", "x"), route("b", "y"), route("b", "y", candidate="ibis-1")
    gateway = Gateway(kept, old)

    async def both() -> None:
        for workflow in ("x", "y"):
            await gateway.served(workflow)

    run(both())
    gateway.table = RouteTable((kept, new))
    run(both())
    assert gateway.made == [kept, old, new]
    models = {
        e.response.model for e in gateway.published.events if e.response and e.side != "stable"
    }
    assert models == {"heron-5", "ibis-1"}


def test_route_says_what_its_router_does() -> None:
    asked: list[tuple[str, str]] = []

    async def ask(model: str, prompt: str) -> str:
        asked.append((model, prompt))
        return model

    published, decisions = Published(), FixedAllocations(allocation(rollout_id="a"))
    make = router_maker(ask, decisions, published, now=lambda: AT)
    whole = Route(rollout_id="a", models=Models("heron-4", "heron-5"), max_in_flight=8)
    none = msgspec.structs.replace(whole, shadow_share=0.0, timeout_s=3.0)
    unpaid = msgspec.structs.replace(whole, budget_usd_per_day=0.0)

    async def serve(route: Route) -> list[Error | None]:
        asked.clear()
        published.requests.clear()
        router = make(route)
        assert await router("hi") == "heron-4"
        await router.aclose(timeout_s=3_600.0)
        await asyncio.sleep(0)
        return [event.error for event in published.events]

    assert run(serve(whole)) == [None, None]
    assert sorted(asked) == [("heron-4", "hi"), ("heron-5", "hi")]
    assert run(serve(none)) == []
    assert run(serve(unpaid)) == [None, MIRROR_DROPPED]
    assert asked == [("heron-4", "hi")]
