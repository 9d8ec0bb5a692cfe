"""Routes for tools that roll out and ask here whether they may: Argo Rollouts, Flagger.

What they ask changes nothing, so none of it takes a token, `POST` or not.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from understudy.schemas.api import Gate, HookCall, Measured
from understudy.streams.http.context import CONTEXT
from understudy.streams.http.materialized_view import MaterializedView, Unreadable
from understudy.streams.http.prometheus_routes import query, query_form
from understudy.streams.http.rollout_gate import UNREAD, gate_of

routes: Final = web.RouteTableDef()
routes.get("/api/v1/query")(query)
routes.post("/api/v1/query")(query_form)
_NOT_KEPT: Final = {"Cache-Control": "no-store"}

# Argo Rollouts


@routes.get("/api/v1/gates/argo/{rollout_id:[^/]+}")
async def argo(request: web.Request) -> web.Response:
    """Always 200: Argo takes other answers for errors, and a few of those for a failure."""
    view, rollout_id = request.app[CONTEXT].view, request.match_info["rollout_id"]
    found = gate_of(view, rollout_id, request.query.get("stage", ""))
    body = msgspec.json.encode(Measured(found))
    return web.Response(body=body, content_type="application/json", headers=_NOT_KEPT)


# Flagger


class BadCall(ValueError):
    """A hook that does not say what it is about."""


@routes.post("/api/v1/gates/flagger/confirm-rollout")
async def confirm_rollout(request: web.Request) -> web.Response:
    """May the canary start?"""
    return await _confirmed(request)


@routes.post("/api/v1/gates/flagger/confirm-traffic-increase")
async def confirm_traffic_increase(request: web.Request) -> web.Response:
    """May the canary get more requests?"""
    return await _confirmed(request)


@routes.post("/api/v1/gates/flagger/confirm-promotion")
async def confirm_promotion(request: web.Request) -> web.Response:
    """May the canary take the primary's place?"""
    return await _answer(request, lambda found, _: found.verdict == "pass")


@routes.post("/api/v1/gates/flagger/rollback")
async def rollback(request: web.Request) -> web.Response:
    """Must the canary go? 200 says yes, whatever else says no."""
    return await _answer(request, lambda found, _: found.verdict == "fail")


async def _confirmed(request: web.Request) -> web.Response:
    """Yes once a stage that is named has passed, or else while nothing speaks against it."""

    def confirms(found: Gate, stage: str) -> bool:
        return found.verdict == "pass" if stage else found.ok is True

    return await _answer(request, confirms)


async def _answer(request: web.Request, agrees: Callable[[Gate, str], bool]) -> web.Response:
    """200 for yes. Flagger takes 200 to 202 for yes and shows people the text of the rest."""
    try:
        rollout_id, stage = _asked(request, await request.read())
    except BadCall as error:
        return _text(HTTPStatus.BAD_REQUEST, str(error))
    view = request.app[CONTEXT].view
    found = gate_of(view, rollout_id, stage)
    if agrees(found, stage):
        return _text(HTTPStatus.OK, found.reason)
    if found is UNREAD:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, found.reason, {"Retry-After": "1"})
    status = HTTPStatus.CONFLICT if _is_known(view, rollout_id) else HTTPStatus.NOT_FOUND
    return _text(status, f"{found.verdict}: {found.reason}")


def _is_known(view: MaterializedView, rollout_id: str) -> bool:
    try:
        return view.find(rollout_id) is not None
    except Unreadable:
        return True


def _asked(request: web.Request, body: bytes) -> tuple[str, str]:
    """Rollout and stage, out of the URL or the hook's metadata. Raises `BadCall`."""
    try:
        call = msgspec.json.decode(body, type=HookCall)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadCall(f"the body is no hook's payload: {error}") from None
    metadata = call.metadata or {}
    rollout_id = _either(request, metadata, "rollout_id")
    if not rollout_id:
        raise BadCall("name the rollout: metadata.rollout_id, or ?rollout_id= in the URL")
    return rollout_id, _either(request, metadata, "stage")


def _either(request: web.Request, metadata: dict[str, str], name: str) -> str:
    told = {value for value in (request.query.get(name), metadata.get(name)) if value}
    if len(told) > 1:
        raise BadCall(f"the URL and the metadata name two different values of {name}")
    return told.pop() if told else ""


def _text(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_NOT_KEPT, **(headers or {})})
