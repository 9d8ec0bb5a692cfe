"""What anybody may read: rollouts, decisions, evidence, history, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from understudy.schemas.api import EvidenceList, RolloutList
from understudy.schemas.decisions import Decision
from understudy.schemas.openapi import ROLLOUT, ROLLOUTS, render
from understudy.schemas.rollouts import nearest
from understudy.streams.clickhouse.decision_history import END, MAX_DIGITS, TIMEOUT_S, Cursor
from understudy.streams.http.bodies import Body, body_of, encoded
from understudy.streams.http.context import CONTEXT, Context, in_thread
from understudy.streams.http.etag import conditional, wait_s
from understudy.streams.http.materialized_view import Standing, Told
from understudy.streams.http.probe_server import metrics_page
from understudy.streams.http.problems import RETRY, Problem
from understudy.streams.http.query_parameters import moment, only, whole_number
from understudy.streams.rollouts.rollout_status import detail_of, status_of

routes = web.RouteTableDef()

ANY_ROLLOUT: Final = ROLLOUT.replace("}", ":[^/]+}")
"""The path as aiohttp takes it: without a pattern it finds no name with a brace in it."""
HISTORY_ROWS: Final = 50
MAX_HISTORY_ROWS: Final = 1_000
PATIENCE_S: Final = 2.0
"""Longer than ClickHouse is given, for those who wait for others' questions."""
_OPENAPI: Final = render().encode()


@routes.get(ROLLOUTS)
async def rollouts(request: web.Request) -> web.Response:
    """All rollouts in short."""
    only(request)
    context = request.app[CONTEXT]

    def make() -> Body:
        standings = context.complete_board().all().values()
        return body_of(RolloutList(rollouts=[status_of(s.record, s.decision) for s in standings]))

    return await conditional(request, context.view, make)


@routes.get(ANY_ROLLOUT)
async def rollout(request: web.Request) -> web.Response:
    """One rollout with its policy and commands."""
    return await _about_one(request, lambda s: detail_of(s.record, s.decision))


@routes.get(f"{ANY_ROLLOUT}/status")
async def status(request: web.Request) -> web.Response:
    """One rollout in short."""
    return await _about_one(request, lambda s: status_of(s.record, s.decision))


@routes.get(f"{ANY_ROLLOUT}/decision")
async def decision(request: web.Request) -> web.Response:
    """The newest decision, byte for byte as in its topic; waits for the first one, too."""
    only(request)
    context = request.app[CONTEXT]
    waits_s = wait_s(request)
    if waits_s:
        await context.view.until(lambda: _told(context, request) is not None, waits_s)
    return await conditional(request, context.view, lambda: _decided(context, request).body)


@routes.get(f"{ANY_ROLLOUT}/evidence")
async def evidence(request: web.Request) -> web.Response:
    """Guardrails and slices of the newest decision."""
    only(request, "guardrail", "slice")
    context = request.app[CONTEXT]

    def make() -> Body:
        return body_of(_evidence(request, _decided(context, request).decision))

    return await conditional(request, context.view, make)


@routes.get(f"{ANY_ROLLOUT}/history")
async def history(request: web.Request) -> web.Response:
    """Earlier decisions, also of rollouts that were deleted."""
    only(request, "before", "limit")
    context = request.app[CONTEXT]
    limit = whole_number(request, "limit", default=HISTORY_ROWS, most=MAX_HISTORY_ROWS)
    look = partial(context.history.page, request.match_info["rollout_id"], _before(request), limit)
    try:
        async with asyncio.timeout(TIMEOUT_S + PATIENCE_S):
            page = await in_thread(context.asking, look)
    except TimeoutError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "ClickHouse does not answer in time", RETRY
        ) from None
    return web.Response(body=encoded(page), content_type="application/json")


@routes.get("/api/v1/openapi.json")
async def openapi(request: web.Request) -> web.Response:
    """The description of all this."""
    only(request)
    return web.Response(body=_OPENAPI, content_type="application/json")


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """All rollouts for Prometheus; nothing while they are not known, so that its `up` is 0."""
    context = request.app[CONTEXT]
    context.complete_board()
    page = metrics_page(context.registry)(request.headers.get("Accept", ""))
    return web.Response(body=page.body, headers={"Content-Type": page.content_type})


@routes.get("/readyz")
async def ready(request: web.Request) -> web.Response:
    """Whether this worker can answer for all rollouts now."""
    request.app[CONTEXT].complete_board()
    return web.Response(body=encoded({"status": "ok"}), content_type="application/json")


async def _about_one(
    request: web.Request, describe: Callable[[Standing], msgspec.Struct]
) -> web.Response:
    only(request)
    context = request.app[CONTEXT]
    return await conditional(
        request, context.view, lambda: body_of(describe(context.standing(request)))
    )


def _told(context: Context, request: web.Request) -> Told | None:
    """The newest decision. Raises `UnknownRollout` where there is neither policy nor decision."""
    view = context.complete_board()
    told = view.told(request.match_info["rollout_id"])
    if told is None:
        context.standing(request)
    return told


def _decided(context: Context, request: web.Request) -> Told:
    told = _told(context, request)
    if told is None:
        raise Problem(HTTPStatus.NOT_FOUND, "nothing was decided yet about this rollout")
    return told


def _evidence(request: web.Request, decision: Decision) -> EvidenceList:
    guardrail, of_slice = request.query.get("guardrail"), request.query.get("slice")
    known = {one.guardrail for one in decision.evidence}
    if guardrail is not None and guardrail not in known:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"there is no guardrail {guardrail}{nearest(guardrail, known)}"
        )
    return EvidenceList(
        rollout_id=decision.rollout_id,
        decided_at=decision.decided_at,
        policy_hash=decision.policy_hash,
        verdict=decision.verdict,
        bounds=decision.bounds,
        evidence=[
            one
            for one in decision.evidence
            if guardrail in (None, one.guardrail) and of_slice in (None, one.slice)
        ],
    )


def _before(request: web.Request) -> Cursor:
    """A time, or what the page before named."""
    text = request.query.get("before")
    if text is None:
        return END
    time, comma, digits = text.partition(",")
    if comma and not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"before is a time or a page's next_before, not {text!r}"
        )
    return Cursor.at(moment("before", time), int(digits or 0))
