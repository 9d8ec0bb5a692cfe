"""Routes for tools that roll out and ask for permission here: Argo Rollouts and Flagger.

They change nothing, so none of them takes a token, `POST` or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from understudy.schemas.api import ArgoMeasurement, FlaggerHook, Gate
from understudy.schemas.rollouts import nearest
from understudy.streams.http.bodies import encoded
from understudy.streams.http.context import API
from understudy.streams.http.materialized_view import MaterializedView, UnreadableRecord
from understudy.streams.http.problems import Problem
from understudy.streams.http.prometheus_routes import query, query_form
from understudy.streams.http.query_parameters import allow_only
from understudy.streams.http.request_body import in_time
from understudy.streams.http.rollout_gate import INCOMPLETE, UnknownStage, gate_of

routes: Final = web.RouteTableDef()
routes.get("/api/v1/query")(query)
routes.post("/api/v1/query")(query_form)
_NO_STORE: Final = {"Cache-Control": "no-store"}
_NAMES: Final = ("rollout_id", "stage")
"""What a hook may say, in the URL or in its metadata."""

# Argo Rollouts


@routes.get("/api/v1/gates/argo/{rollout_id:[^/]+}")
async def argo(request: web.Request) -> web.Response:
    """200 for every question that makes sense; Argo counts other statuses as errors."""
    allow_only(request, "stage")
    context, rollout_id = request.app[API], request.match_info["rollout_id"]
    try:
        gate = gate_of(context.view, rollout_id, request.query.get("stage"), context.present)
    except UnknownStage as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None
    body = encoded(ArgoMeasurement(gate))
    return web.Response(body=body, content_type="application/json", headers=_NO_STORE)


# Flagger


class BadHook(ValueError):
    """A hook that does not name one rollout, or no stage that there is."""


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
    """Must the canary be rolled back? Here, too, 200 means yes, whatever is said about stages."""
    return await _respond(request, lambda gate, _: gate.verdict == "fail", with_stage=False)


async def _confirm(request: web.Request) -> web.Response:
    """Yes once the named stage has passed; without a stage, while nothing speaks against it."""

    def confirms(gate: Gate, stage: str | None) -> bool:
        return gate.ok is True if stage is None else gate.verdict == "pass"

    return await _respond(request, confirms)


async def _respond(
    request: web.Request,
    confirms: Callable[[Gate, str | None], bool],
    *,
    with_stage: bool = True,
) -> web.Response:
    """200 for yes. Flagger takes 200 to 202 for yes and shows the text of other responses."""
    async with in_time():
        body = await request.read()
    context = request.app[API]
    try:
        metadata = _metadata(body)
        rollout_id = _one_value(request, metadata, "rollout_id")
        if not rollout_id:
            raise BadHook("name the rollout: metadata.rollout_id, or ?rollout_id= in the URL")
        stage = _stage(request, metadata) if with_stage else None
        gate = gate_of(context.view, rollout_id, stage, context.present)
    except (BadHook, UnknownStage) as error:
        return _text(HTTPStatus.BAD_REQUEST, str(error))
    if confirms(gate, stage):
        return _text(HTTPStatus.OK, gate.reason)
    if gate is INCOMPLETE:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, gate.reason, {"Retry-After": "1"})
    status = HTTPStatus.CONFLICT if _exists(context.view, rollout_id) else HTTPStatus.NOT_FOUND
    return _text(status, f"{gate.verdict}: {gate.reason}")


def _exists(view: MaterializedView, rollout_id: str) -> bool:
    try:
        return view.find(rollout_id) is not None
    except UnreadableRecord:
        return True


def _metadata(body: bytes) -> dict[str, str]:
    """Raises `BadHook`."""
    try:
        return msgspec.json.decode(body, type=FlaggerHook).metadata or {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadHook(f"the body is not the payload of a Flagger webhook: {error}") from None


def _stage(request: web.Request, metadata: Mapping[str, str]) -> str | None:
    """The stage, if one is named. A misspelt name must not ask a laxer question.

    Metadata may have further names, of other tools. Raises `BadHook`.
    """
    for name in request.query:
        if name not in _NAMES:
            raise BadHook(f"unknown parameter {name}{nearest(name, _NAMES)}")
    for name in metadata:
        hint = nearest(name.casefold(), _NAMES)
        if name not in _NAMES and hint:
            raise BadHook(f"unknown metadata {name}{hint}")
    return _one_value(request, metadata, "stage")


def _one_value(request: web.Request, metadata: Mapping[str, str], name: str) -> str | None:
    given = [*request.query.getall(name, []), *([metadata[name]] if name in metadata else [])]
    if len(set(given)) > 1:
        raise BadHook(f"the URL and the metadata disagree about {name}")
    return given[0] if given else None


def _text(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_NO_STORE, **(headers or {})})
