"""Routes for tools that roll out and ask for permission here: Argo Rollouts and Flagger.

They change nothing, so none of them takes a token, `POST` or not.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from understudy.schemas.api import ArgoMeasurement, FlaggerHook, Gate
from understudy.streams.http.context import API
from understudy.streams.http.materialized_view import MaterializedView, UnreadableRecord
from understudy.streams.http.prometheus_routes import query, query_form
from understudy.streams.http.request_body import in_time
from understudy.streams.http.rollout_gate import INCOMPLETE, gate_of

routes: Final = web.RouteTableDef()
routes.get("/api/v1/query")(query)
routes.post("/api/v1/query")(query_form)
_NO_STORE: Final = {"Cache-Control": "no-store"}

# Argo Rollouts


@routes.get("/api/v1/gates/argo/{rollout_id:[^/]+}")
async def argo(request: web.Request) -> web.Response:
    """Always 200: Argo counts other statuses as errors, and several errors as a failure."""
    view, rollout_id = request.app[API].view, request.match_info["rollout_id"]
    gate = gate_of(view, rollout_id, request.query.get("stage", ""))
    body = msgspec.json.encode(ArgoMeasurement(gate))
    return web.Response(body=body, content_type="application/json", headers=_NO_STORE)


# Flagger


class BadHook(ValueError):
    """A hook that does not name one rollout."""


@routes.post("/api/v1/gates/flagger/confirm-rollout")
async def confirm_rollout(request: web.Request) -> web.Response:
    """May the canary start?"""
    return await _confirm(request)


@routes.post("/api/v1/gates/flagger/confirm-traffic-increase")
async def confirm_traffic_increase(request: web.Request) -> web.Response:
    """May the canary get more requests?"""
    return await _confirm(request)


@routes.post("/api/v1/gates/flagger/confirm-promotion")
async def confirm_promotion(request: web.Request) -> web.Response:
    """May the canary replace the primary?"""
    return await _respond(request, lambda gate, _: gate.verdict == "pass")


@routes.post("/api/v1/gates/flagger/rollback")
async def rollback(request: web.Request) -> web.Response:
    """Must the canary be rolled back? Here, too, 200 means yes."""
    return await _respond(request, lambda gate, _: gate.verdict == "fail")


async def _confirm(request: web.Request) -> web.Response:
    """Yes once the named stage has passed; without a stage, while nothing speaks against it."""

    def confirms(gate: Gate, stage: str) -> bool:
        return gate.verdict == "pass" if stage else gate.ok is True

    return await _respond(request, confirms)


async def _respond(request: web.Request, confirms: Callable[[Gate, str], bool]) -> web.Response:
    """200 for yes. Flagger takes 200 to 202 for yes and shows the text of other responses."""
    async with in_time():
        body = await request.read()
    try:
        rollout_id, stage = _rollout_and_stage(request, body)
    except BadHook as error:
        return _text(HTTPStatus.BAD_REQUEST, str(error))
    view = request.app[API].view
    gate = gate_of(view, rollout_id, stage)
    if confirms(gate, stage):
        return _text(HTTPStatus.OK, gate.reason)
    if gate is INCOMPLETE:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, gate.reason, {"Retry-After": "1"})
    status = HTTPStatus.CONFLICT if _exists(view, rollout_id) else HTTPStatus.NOT_FOUND
    return _text(status, f"{gate.verdict}: {gate.reason}")


def _exists(view: MaterializedView, rollout_id: str) -> bool:
    try:
        return view.find(rollout_id) is not None
    except UnreadableRecord:
        return True


def _rollout_and_stage(request: web.Request, body: bytes) -> tuple[str, str]:
    """Rollout and stage from the URL or the hook's metadata. Raises `BadHook`."""
    try:
        hook = msgspec.json.decode(body, type=FlaggerHook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadHook(f"the body is not the payload of a Flagger webhook: {error}") from None
    metadata = hook.metadata or {}
    rollout_id = _one_value(request, metadata, "rollout_id")
    if not rollout_id:
        raise BadHook("name the rollout: metadata.rollout_id, or ?rollout_id= in the URL")
    return rollout_id, _one_value(request, metadata, "stage")


def _one_value(request: web.Request, metadata: dict[str, str], name: str) -> str:
    values = {value for value in (request.query.get(name), metadata.get(name)) if value}
    if len(values) > 1:
        raise BadHook(f"the URL and the metadata disagree about {name}")
    return values.pop() if values else ""


def _text(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_NO_STORE, **(headers or {})})
