"""Routes that read rollouts, decisions, evidence and history; none of them takes a token."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import web

from understudy.schemas.api import EvidenceList, RolloutList
from understudy.schemas.decisions import Decision
from understudy.schemas.openapi import ROLLOUT, ROLLOUTS, render
from understudy.schemas.rollouts import nearest
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.decision_history import END, MAX_DIGITS, Cursor
from understudy.streams.clickhouse.read_connection import TIMEOUT_S
from understudy.streams.http.access import waiting_client
from understudy.streams.http.bodies import Body, body_of, encoded
from understudy.streams.http.context import API, ApiContext, in_thread
from understudy.streams.http.etag import conditional_response, preferred_wait_s
from understudy.streams.http.materialized_view import PublishedDecision, RolloutView
from understudy.streams.http.problems import RETRY, Problem
from understudy.streams.http.query_parameters import (
    allow_only,
    positive_int,
    timestamp,
    whole_number,
)
from understudy.streams.rollouts.registry import record_version
from understudy.streams.rollouts.rollout_status import detail_of, status_of

routes: Final = web.RouteTableDef()

ROLLOUT_PATH: Final = ROLLOUT.replace("}", ":[^/]+}")
"""The path as aiohttp takes it: without a pattern it matches no id with a brace in it."""
HISTORY_ROWS: Final = 50
"""A screenful or two."""
MAX_HISTORY_ROWS: Final = 1_000
"""About a megabyte of JSON."""
QUEUE_TIMEOUT_S: Final = 2.0
"""On top of ClickHouse's own timeout, to wait for the queries of other clients."""
DEFAULT_HOURS: Final = 24
MAX_HOURS: Final = 24 * 31
"""A query over more windows takes longer than a page may."""
Result = TypeVar("Result")
_OPENAPI: Final = render().encode()


@routes.get(ROLLOUTS)
async def list_rollouts(request: web.Request) -> web.Response:
    """Summaries of all rollouts."""
    allow_only(request)
    context = request.app[API]
    return await conditional_response(request, context.view, lambda: list_body(context))


@routes.get(ROLLOUT_PATH)
async def get_rollout(request: web.Request) -> web.Response:
    """One rollout with its policy and commands."""
    allow_only(request)
    context = request.app[API]
    return await conditional_response(request, context.view, lambda: detail_body(request))


@routes.get(f"{ROLLOUT_PATH}/status")
async def get_status(request: web.Request) -> web.Response:
    """The summary of one rollout."""
    allow_only(request)
    context = request.app[API]
    return await conditional_response(
        request,
        context.view,
        lambda: _body(request, "status", lambda r: body_of(status_of(r.record, r.decision))),
    )


@routes.get(f"{ROLLOUT_PATH}/decision")
async def get_decision(request: web.Request) -> web.Response:
    """The newest decision, byte for byte as in its topic; on request waits for the first one.

    `Last-Modified` says when it was written there: `decided_at` is event time.
    """
    allow_only(request)
    context = request.app[API]
    waits_s = preferred_wait_s(request)
    if waits_s:
        client = waiting_client(request)
        await context.view.wait_until(
            lambda: _newest(context, request) is not None, waits_s, client
        )
    response = await conditional_response(
        request, context.view, lambda: _require_decision(context, request).body
    )
    response.last_modified = _require_decision(context, request).written_at
    return response


@routes.get(f"{ROLLOUT_PATH}/evidence")
async def get_evidence(request: web.Request) -> web.Response:
    """Guardrails and slices of the newest decision."""
    allow_only(request, "guardrail", "slice")
    context = request.app[API]

    def make_body() -> Body:
        return body_of(_evidence(request, _require_decision(context, request).decision))

    return await conditional_response(request, context.view, make_body)


@routes.get(f"{ROLLOUT_PATH}/answer-quality")
async def get_answer_quality(request: web.Request) -> web.Response:
    """What evaluators said of the pairs requested in the hours before the newest window."""
    allow_only(request, "hours")
    context = request.app[API]
    hours = positive_int(request, "hours", default=DEFAULT_HOURS, maximum=MAX_HOURS)
    rollout = context.rollout(request)
    newest = rollout.decision.windows_until if rollout.decision else None
    until = newest or context.clock()
    found = await _from_clickhouse(
        context,
        lambda: read_answer_quality(
            context.history.connection,
            rollout.record.manifest.rollout_id,
            until - dt.timedelta(hours=hours),
            until,
        ),
    )
    return web.Response(body=encoded(found), content_type="application/json")


@routes.get(f"{ROLLOUT_PATH}/history")
async def get_history(request: web.Request) -> web.Response:
    """Earlier decisions, also about rollouts that were deleted."""
    allow_only(request, "before", "limit")
    context = request.app[API]
    limit = positive_int(request, "limit", default=HISTORY_ROWS, maximum=MAX_HISTORY_ROWS)
    query = partial(
        context.history.page, request.match_info["rollout_id"], history_before(request), limit
    )
    page = await _from_clickhouse(context, query)
    return web.Response(body=encoded(page), content_type="application/json")


async def _from_clickhouse(context: ApiContext, query: Callable[[], Result]) -> Result:
    try:
        async with asyncio.timeout(TIMEOUT_S + QUEUE_TIMEOUT_S):
            return await in_thread(context.history_threads, query)
    except TimeoutError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "ClickHouse did not answer in time; retry", RETRY
        ) from None


@routes.get("/api/v1/openapi.json")
async def get_openapi(request: web.Request) -> web.Response:
    """The description of the API."""
    allow_only(request)
    return web.Response(body=_OPENAPI, content_type="application/json")


def list_body(context: ApiContext) -> Body:
    """Summaries of all rollouts; made once between two changes."""

    def make_body() -> Body:
        rollouts = context.complete_view().all().values()
        return body_of(RolloutList(rollouts=[status_of(r.record, r.decision) for r in rollouts]))

    return context.view.body(("rollouts",), make_body)


def detail_body(request: web.Request) -> Body:
    """The rollout in the request's path, with its policy and commands; made once likewise."""
    return _body(
        request,
        "detail",
        lambda r: body_of(detail_of(r.record, r.decision), record_version(r.record)),
    )


def _body(request: web.Request, name: str, describe: Callable[[RolloutView], Body]) -> Body:
    context = request.app[API]
    key = (name, request.match_info["rollout_id"])
    return context.view.body(key, lambda: describe(context.rollout(request)))


def _newest(context: ApiContext, request: web.Request) -> PublishedDecision | None:
    """The newest decision. Raises `UnknownRollout` where there is neither policy nor decision."""
    found = context.complete_view().newest_decision(request.match_info["rollout_id"])
    if found is None:
        context.rollout(request)
    return found


def _require_decision(context: ApiContext, request: web.Request) -> PublishedDecision:
    found = _newest(context, request)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no decision about this rollout yet")
    return found


def _evidence(request: web.Request, decision: Decision) -> EvidenceList:
    guardrail, of_slice = request.query.get("guardrail"), request.query.get("slice")
    known = {one.guardrail for one in decision.evidence}
    if guardrail is not None and guardrail not in known:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"there is no guardrail {guardrail}{nearest(guardrail, known)}"
        )
    return EvidenceList(
        rollout_id=decision.rollout_id,
        sequence=decision.sequence,
        decided_at=decision.decided_at,
        policy_hash=decision.policy_hash,
        verdict=decision.verdict,
        thresholds=decision.thresholds,
        evidence=[
            one
            for one in decision.evidence
            if guardrail in (None, one.guardrail) and of_slice in (None, one.slice)
        ],
        stable=decision.stable,
        evaluators=decision.evaluators,
    )


def history_before(request: web.Request) -> Cursor:
    """The parameter `before`: a time, or `next_before` of the previous page."""
    text = request.query.get("before")
    if text is None:
        return END
    time, *rest = text.split(",")
    if not rest:
        return Cursor.before(timestamp("before", time))
    digits, *times = rest
    number = whole_number(digits, MAX_DIGITS)
    if number is None or len(times) > 1:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"before must be a time or next_before of the previous page, not {text!r}",
        )
    place = timestamp("before", time), number
    return Cursor.at(*place, *(timestamp("before", one) for one in times))
