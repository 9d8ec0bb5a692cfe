"""Router: one rollout's traffic, between whoever asks and the two models' clients.

    router = Router("checkout-2026-11", stable=ask_heron_4, candidate=ask_heron_5,
                    decisions=decisions, publisher=publisher)
    answer = await router("Where is my order?")

It calls the clients it was given as it was called itself, serves one answer, and publishes what
both sides did. Which side serves follows from the rollout's newest decision; without one, or when
the decision is too old, stable serves alone. Nothing the candidate does reaches a user whom stable
serves, and where the candidate was to serve and fails, stable does. The Router's own failures are
logged, and stable serves.

A Router belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast

import msgspec

from understudy.gateways.allocation import MAX_DECISION_AGE_S, Allocation, in_force
from understudy.gateways.argument_copies import copy_of
from understudy.gateways.async_calls import AsyncCall, as_async
from understudy.gateways.background_calls import (
    BackgroundCall,
    BackgroundCalls,
    CallLimits,
    is_cancelled_from_outside,
)
from understudy.gateways.bounded_ids import MAX_ID, bounded_id
from understudy.gateways.budget import Budget
from understudy.gateways.call_errors import HUNG_UP, TIMEOUT
from understudy.gateways.call_notes import NOTES
from understudy.gateways.call_reader import CallReader
from understudy.gateways.chat_completions import PlainCalls
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.exchange import (
    EventPublisher,
    Exchange,
    NotesRequests,
    SideRecord,
    dropped,
)
from understudy.gateways.model_call import CallReading, ModelCall
from understudy.gateways.prices import PriceTable
from understudy.gateways.receipt import Receipt
from understudy.gateways.relayed_stream import RelayedStream, RescuedStream
from understudy.gateways.request_context import NO_CONTEXT, RequestContext
from understudy.gateways.route_plan import (
    MIRRORED,
    STABLE_ALONE,
    RoutePlan,
    Sampling,
    makes_own_events,
    plan_request,
)
from understudy.gateways.stale_decisions import StaleDecisions
from understudy.schemas.events import Event, Mode, Request, Side

P = ParamSpec("P")
Answer = TypeVar("Answer")
Call = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Arguments of a call."""

MIRROR_SUFFIX: Final = "~mirror"
"""Of the `pair_id` of the pair beside a canary's or A/B test's own event."""
_PAIR: Final[tuple[Side, ...]] = ("stable", "candidate")
_WITH_CONTROL: Final[tuple[Side, ...]] = ("stable", "candidate", "control")
_log: Final = logging.getLogger("understudy.gateways.router")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()


class RoutedRequest:
    """One request on its way: who hears of the served call, and what runs beside it."""

    def __init__(self, plan: RoutePlan, call: Call, receipt: Receipt | None) -> None:
        self.plan = plan
        self.call = call
        self._receipt = receipt
        self.exchanges: list[Exchange] = []
        self.background: list[BackgroundCall] = []
        self.stable: BackgroundCall | None = None
        """Stable's call where the candidate is to be served and both run."""

    def end(self, side: Side, record: SideRecord) -> None:
        """Tell all exchanges how a side of this request ended."""
        for exchange in self.exchanges:
            exchange.end(side, record)

    def serve(self, side: Side | None) -> None:
        """Tell all exchanges whose answer the user got."""
        for exchange in self.exchanges:
            exchange.serve(side)
        if self._receipt is not None and self._receipt.rollout_id is None:
            self.exchanges[0].fill(self._receipt)

    def hang_up(self) -> None:
        """Break off what runs beside a request whose caller went away."""
        for running in self.background:
            running.end_with(HUNG_UP)


class Router(Generic[P, Answer]):
    """Routes the requests of one rollout; call it as you would call `stable`."""

    def __init__(
        self,
        rollout_id: str,
        *,
        stable: Callable[P, Awaitable[Answer] | Answer],
        candidate: Callable[P, Awaitable[Answer] | Answer],
        decisions: DecisionSource,
        publisher: EventPublisher,
        stable_model: str | None = None,
        candidate_model: str | None = None,
        workflow: str | None = None,
        reader: CallReader | None = None,
        prices: PriceTable | None = None,
        limits: CallLimits | None = None,
        budget: Budget | None = None,
        sampling: Sampling | None = None,
        max_decision_age_s: float = MAX_DECISION_AGE_S,
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        """`reader` reads what is asked and answered, text and chat completions unless given.

        The models' names stand in events whose answers name none, and find prices. `budget` is
        for calls that no user waits for. `workflow` is that of requests which name none.
        """
        self.rollout_id = rollout_id
        self._stable, self._candidate = as_async(stable), as_async(candidate)
        self._models: dict[Side, str | None] = {
            "stable": stable_model, "control": stable_model, "candidate": candidate_model,
        }  # fmt: skip
        self._decisions = decisions
        self._publisher = publisher
        self._journal = publisher if isinstance(publisher, NotesRequests) else None
        self._workflow = workflow
        self._reading = CallReading(reader or PlainCalls(), prices or PriceTable({}), _loop_time_s)
        self._limits = limits or CallLimits()
        self._sampling = sampling or Sampling()
        self._max_decision_age_s = max_decision_age_s
        self._stale = StaleDecisions()
        self._now = now
        self._background = BackgroundCalls(self._limits, budget)
        self._next_probe_s = 0.0
        self._logged: set[str] = set()
        self.counts: Counter[str] = Counter()
        """Requests, those mirrored, dropped, rescued; failures of the Router itself."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Serve a request of which nothing more is known than what is asked."""
        return cast(Answer, await self.route(NO_CONTEXT, args, kwargs))

    async def call(self, context: RequestContext, *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Serve a request. Raises what the served call raises."""
        return cast(Answer, await self.route(context, args, kwargs))

    async def route(
        self, context: RequestContext, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Do the same with the arguments as values."""
        call = (tuple(args), kwargs)
        route = self.begin(context, call)
        if route is None:
            return await self._stable(*args, **kwargs)
        if route.plan.served == "candidate":
            return await self.serve_candidate(route)
        return await self.serve_stable([route], call)

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """Wait for calls that no user waits for; those still under way then count as dropped."""
        await self._background.wait(timeout_s)

    @property
    def in_flight(self) -> int:
        """Calls under way that no user waits for."""
        return self._background.in_flight

    # Planning

    def allocation(self) -> Allocation | None:
        """Return what the decision in force allocates; None where there is none."""
        now = self._now()
        found = in_force(self._decisions.allocation(self.rollout_id), now, self._max_decision_age_s)
        self._stale.note(found, now)
        return found

    def has_users(self) -> bool:
        """Return whether some users are this rollout's own: those it serves, or is refreshed by."""
        try:
            allocation = self.allocation()
        except Exception:
            self.note_own_failure("no decision could be had")
            return False
        return allocation is not None and makes_own_events(allocation)

    def begin(
        self, context: RequestContext, call: Call, *, may_serve: bool = True
    ) -> RoutedRequest | None:
        """Plan a request and start what runs beside it; None where stable serves alone.

        Without `may_serve` another rollout chooses who serves, and this one only mirrors.
        """
        self.counts["requests"] += 1
        try:
            pair_id = context.pair_id or uuid.uuid4().hex
            plan = self._plan(context, pair_id)
            if not may_serve:
                plan = msgspec.structs.replace(plan, single=None)
                plan = plan if plan.paired == "shadow" else STABLE_ALONE
            if plan.single is None and plan.paired is None:
                return None
            return self._begin(plan, context, pair_id, call)
        except Exception:
            self.note_own_failure("a request could not be planned")
            return None

    def _plan(self, context: RequestContext, pair_id: str) -> RoutePlan:
        allocation = self.allocation()
        unit = context.user_id or context.conversation_id or pair_id
        plan = plan_request(allocation, unit, pair_id, self._sampling)
        if plan is STABLE_ALONE and allocation is not None and allocation.probe_every_s:
            return self._probed(allocation.probe_every_s)
        return plan

    def _probed(self, every_s: float) -> RoutePlan:
        """Mirror one request now and then, so that a decision that grew old is refreshed."""
        now_s = _loop_time_s()
        if now_s < self._next_probe_s:
            return STABLE_ALONE
        self._next_probe_s = now_s + every_s
        return MIRRORED

    def _begin(
        self, plan: RoutePlan, context: RequestContext, pair_id: str, call: Call
    ) -> RoutedRequest:
        route = RoutedRequest(plan, call, context.receipt)
        context = _bounded(context)
        request_time = context.request_time or self._now()
        request = context.request or self._reading.request(*call)

        def exchange(mode: Mode, sides: tuple[Side, ...], pair_id: str) -> Exchange:
            return self._exchange(mode, sides, pair_id, request_time, context, request)

        if plan.single is not None:
            route.exchanges.append(exchange(plan.single, (plan.served,), pair_id))
        if plan.paired is not None:
            own_id = bounded_id(pair_id, MIRROR_SUFFIX) if plan.single is not None else pair_id
            self._start_unserved(
                route, lambda sides: exchange(plan.paired or "shadow", sides, own_id)
            )
        return route

    def _exchange(
        self, mode: Mode, sides: tuple[Side, ...], pair_id: str, request_time: dt.datetime,
        context: RequestContext, request: Request | None,
    ) -> Exchange:  # fmt: skip
        exchange = Exchange(
            self._publish, rollout_id=self.rollout_id, pair_id=bounded_id(pair_id), mode=mode,
            sides=sides, request_time=request_time, context=context, request=request,
            workflow=self._workflow,
        )  # fmt: skip
        if self._journal is not None:
            self._journal.begin(exchange.outline())
        return exchange

    def _start_unserved(
        self, route: RoutedRequest, exchange: Callable[[tuple[Side, ...]], Exchange]
    ) -> None:
        """Start the sides that are not served, where the limits have room."""
        serves_candidate = route.plan.served == "candidate"
        unserved: Side = "stable" if serves_candidate else "candidate"
        refusal = self._background.refusal(self._call_of(unserved))
        has_control = route.plan.control and self._background.refusal(self._stable, calls=2) is None
        pair = exchange(_WITH_CONTROL if has_control else _PAIR)
        route.exchanges.append(pair)
        if refusal is not None:
            self.counts[f"dropped: {refusal}"] += 1
            if serves_candidate:
                route.plan = msgspec.structs.replace(route.plan, served="stable")
            pair.end("candidate", dropped(refusal))
            return
        self.counts["mirrored"] += 1
        started = self._start(route, unserved, pair)
        route.stable = started if serves_candidate else None
        if has_control:
            self._start(route, "control", pair)

    def _start(self, route: RoutedRequest, side: Side, pair: Exchange) -> BackgroundCall:
        args, kwargs = route.call
        started = self._background.start(
            self._call_of(side), copy_of(args), copy_of(dict(kwargs)), self._measured(side),
            lambda record: pair.end(side, record),
        )  # fmt: skip
        route.background.append(started)
        return started

    # Serving

    async def serve_stable(self, routes: Sequence[RoutedRequest], call: Call) -> Any:
        """Await stable's answer and serve it; all routes hear of it."""
        args, kwargs = call
        measured = self._measured("stable")
        for route in routes:
            route.serve("stable")

        def end(record: SideRecord) -> None:
            self._end_served(routes, "stable", record)

        token = NOTES.set(measured.notes)
        try:
            answer = await self._stable(*args, **kwargs)
        except asyncio.CancelledError as failure:
            hung_up = is_cancelled_from_outside()
            end(measured.failed(HUNG_UP) if hung_up else measured.raised(failure))
            raise
        except Exception as failure:
            end(measured.raised(failure))
            raise
        finally:
            NOTES.reset(token)
        if hasattr(answer, "__aiter__"):
            return RelayedStream(answer, measured, end)
        end(measured.answered(answer))
        return answer

    async def serve_candidate(self, route: RoutedRequest) -> Any:
        """Await the candidate's answer and serve it; where it fails, serve stable's."""
        args, kwargs = route.call
        measured = self._measured("candidate")
        deadline_s = _loop_time_s() + self._limits.served_timeout_s
        asked = asyncio.ensure_future(
            _noted(measured, self._candidate, copy_of(args), copy_of(dict(kwargs)))
        )
        try:
            await asyncio.wait({asked}, timeout=self._limits.served_timeout_s)
        except asyncio.CancelledError:
            asked.cancel()
            route.serve("candidate")
            self._end_served([route], "candidate", measured.failed(HUNG_UP))
            raise
        if not asked.done():
            asked.cancel()
            route.end("candidate", measured.failed(TIMEOUT))
            return await self._rescue(route)
        failure = _failure_of(asked)
        if failure is not None:
            route.end("candidate", measured.raised(failure))
            return await self._rescue(route)
        answer = asked.result()
        if hasattr(answer, "__aiter__"):
            return self._relay_candidate(route, measured, answer, deadline_s)
        route.serve("candidate")
        self._end_served([route], "candidate", measured.answered(answer))
        return answer

    def _relay_candidate(
        self, route: RoutedRequest, measured: ModelCall, stream: Any, deadline_s: float
    ) -> RescuedStream:
        def end(record: SideRecord) -> None:
            if record.error is HUNG_UP:  # perhaps before anybody began to read
                route.serve("candidate")
            self._end_served([route], "candidate", record)

        return RescuedStream(
            RelayedStream(stream, measured, end),
            deadline_s,
            on_served=lambda: route.serve("candidate"),
            rescue=lambda: self._rescue(route),
        )

    async def _rescue(self, route: RoutedRequest) -> Any:
        """Serve stable's answer instead of the candidate's."""
        self.counts["rescued"] += 1
        route.serve("stable" if route.stable is not None else None)
        answer = await _answer_of(route.stable) if route.stable is not None else None
        if answer is not None:
            return answer
        args, kwargs = route.call
        return await self._stable(*args, **kwargs)

    def _end_served(self, routes: Sequence[RoutedRequest], side: Side, record: SideRecord) -> None:
        """Tell the routes how the served call ended, after the user has got the answer."""
        for route in routes:
            if record.error is HUNG_UP:
                route.hang_up()
        asyncio.get_running_loop().call_soon(_end_all, routes, side, record)

    # Parts

    def _call_of(self, side: Side) -> AsyncCall:
        return self._candidate if side == "candidate" else self._stable

    def _measured(self, side: Side) -> ModelCall:
        return ModelCall(self._reading, self._models[side])

    def _publish(self, events: Callable[[], list[Event]]) -> None:
        try:
            self._publisher.publish(*events())
        except Exception:
            self.note_own_failure("events could not be published")

    def note_own_failure(self, what: str) -> None:
        """Count a failure of the Router; log the first of its kind."""
        self.counts[f"failed: {what}"] += 1
        if what not in self._logged:
            self._logged.add(what)
            _log.exception("rollout %s: %s; stable serves", self.rollout_id, what)


AnyRouter = Router[..., Any]


def _bounded(context: RequestContext) -> RequestContext:
    name = context.conversation_id
    if name is None or len(name) <= MAX_ID:
        return context
    return msgspec.structs.replace(context, conversation_id=bounded_id(name))


async def _noted(
    measured: ModelCall, call: AsyncCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    NOTES.set(measured.notes)
    try:
        return await call(*args, **kwargs)
    except SystemExit as failure:  # which would end the event loop
        raise RuntimeError("the candidate's client asked the process to end") from failure


def _failure_of(asked: asyncio.Future[Any]) -> BaseException | None:
    """Return what the call raised, a cancellation of its own accord included."""
    return asyncio.CancelledError() if asked.cancelled() else asked.exception()


async def _answer_of(running: BackgroundCall) -> Any:
    """Await the answer of a call that nobody waited for; None where it is a stream or failed."""
    if running.task is None:
        return None
    await asyncio.wait({running.task})
    return None if running.task.cancelled() else running.task.result()


def _end_all(routes: Sequence[RoutedRequest], side: Side, record: SideRecord) -> None:
    for route in routes:
        route.end(side, record)
