"""Serves requests by the name of their workflow: which models answer is the route table's affair.

gateway = WorkflowRouter(policies.table, make_router, ask_model)
answer = await gateway.call("checkout", RequestContext(user_id=…), "Where is my order?")
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import msgspec

from understudy.gateways.background_calls import CallLimits
from understudy.gateways.budget import Budget
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.exchange import EventPublisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.route_plan import Sampling
from understudy.gateways.route_table import Route, RouteTable
from understudy.gateways.router import AnyRouter, Router
from understudy.gateways.shared_stable import SharedStable

MakeRouter = Callable[[Route], AnyRouter]
AskModel = Callable[..., Awaitable[Any]]
"""Asks a model by its name: the name, then the arguments of the call."""
FIRST_TABLE_TIMEOUT_S: Final = 10.0
"""For requests of a gateway that has just begun; Kafka is read to its end in a second or two."""
_LOOK_EVERY_S: Final = 0.02
_log: Final = logging.getLogger(__name__)


def router_maker(
    ask_model: AskModel, decisions: DecisionSource, publisher: EventPublisher, **options: Any
) -> MakeRouter:
    """Return what makes the Router of a route: its models, its shares, its limits and its budget.

    `options` are those of `Router` that all routes have in common.
    """

    def make(route: Route) -> AnyRouter:
        budget = route.budget_usd_per_day
        return Router(
            route.rollout_id,
            stable=partial(ask_model, route.models.stable),
            candidate=partial(ask_model, route.models.candidate),
            stable_model=route.models.stable,
            candidate_model=route.models.candidate,
            decisions=decisions,
            publisher=publisher,
            sampling=Sampling(shadow_share=route.shadow_share, control_share=route.control_share),
            limits=_limits(route),
            budget=None if budget is None else Budget(budget, now_s=time.monotonic),
            **options,
        )

    return make


def _limits(route: Route) -> CallLimits:
    usual = CallLimits()
    return CallLimits(
        max_in_flight=route.max_in_flight or usual.max_in_flight,
        timeout_s=route.timeout_s or usual.timeout_s,
    )


class UnknownWorkflow(LookupError):
    """No route and no default model serves a workflow."""


class WorkflowRouter:
    """Routers of all workflows, made when a route is first used; belongs to one event loop."""

    def __init__(
        self, table: Callable[[], RouteTable], make_router: MakeRouter, ask_model: AskModel
    ) -> None:
        """`table` returns the newest table; `make_router` makes the Router of a route.

        `ask_model` serves workflows without a route, by the name of the table's default model.
        """
        self._table = table
        self._make_router = make_router
        self._ask_model = ask_model
        self._known = table()
        self._is_stuck = False
        """Whether the newest table could not be had the last time."""
        self._routers: dict[Route, AnyRouter] = {}
        self._shared: dict[tuple[Route, ...], SharedStable] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def call(
        self, workflow: str | None, context: RequestContext, *args: Any, **kwargs: Any
    ) -> Any:
        """Serve a request of a workflow. Raises `UnknownWorkflow`, and what the model raises."""
        self._look()
        routes = self._known.routes(workflow)
        if not routes and not self._known.is_complete and self._known.default_model is None:
            await self._first_table()
            routes = self._known.routes(workflow)
        if not routes:
            return await self._ask_default(workflow, args, kwargs)
        context = msgspec.structs.replace(context, workflow=context.workflow or workflow)
        serving = self._router(routes[0]) if len(routes) == 1 else self._together(routes)
        return await serving.route(context, args, kwargs)

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """Wait for calls that no user waits for; see `Router.aclose`."""
        closing = [router.aclose(timeout_s) for router in self._routers.values()]
        await asyncio.gather(*closing, *self._closing)

    def _look(self) -> None:
        """Use the newest table; where it cannot be had, the one before it."""
        try:
            table = self._table()
            if table is not self._known:
                self._replace(table)
            self._is_stuck = False
        except Exception:
            if not self._is_stuck:  # each request looks; one line says it
                _log.exception("The routes stay as they were")
            self._is_stuck = True

    async def _first_table(self) -> None:
        """Wait until the routes have been read; there is no model to ask before."""
        deadline_s = asyncio.get_running_loop().time() + FIRST_TABLE_TIMEOUT_S
        while not self._known.is_complete:
            if asyncio.get_running_loop().time() >= deadline_s:
                raise UnknownWorkflow(
                    "the policies have not been read, and no default model is given"
                )
            await asyncio.sleep(_LOOK_EVERY_S)
            self._look()

    async def _ask_default(
        self, workflow: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        model = self._known.default_model
        if model is None:
            raise UnknownWorkflow(f"no route serves {workflow or 'requests without a workflow'}")
        return await self._ask_model(model, *args, **kwargs)

    def _router(self, route: Route) -> AnyRouter:
        if route not in self._routers:
            self._routers[route] = self._make_router(route)
        return self._routers[route]

    def _together(self, routes: tuple[Route, ...]) -> SharedStable:
        if routes not in self._shared:
            self._shared[routes] = SharedStable(*map(self._router, routes))
        return self._shared[routes]

    def _replace(self, table: RouteTable) -> None:
        """Use a newer table; Routers whose route is as before go on as they are."""
        self._known = table
        self._shared.clear()
        kept = table.all_routes()
        for route in [one for one in self._routers if one not in kept]:
            _log.info("rollout %s: its route has changed or is gone", route.rollout_id)
            closing = asyncio.get_running_loop().create_task(self._routers.pop(route).aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
