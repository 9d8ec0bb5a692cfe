"""Handlers for tools that query Prometheus: `/api/v1/query`, as in Prometheus's HTTP API.

The view knows the present only, so queries about other times are refused rather than answered
wrongly. Tools ask here whether they may go on, so a rollout whose newest window is old has no
series here, unless it is rolled back; `/metrics` has them all.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from understudy.streams.http.bodies import encoded
from understudy.streams.http.context import API, in_thread
from understudy.streams.http.instant_query import BadQuery, answer
from understudy.streams.http.request_body import in_time
from understudy.streams.http.rollout_gate import says_something
from understudy.streams.http.rollout_series import samples

PRESENT_S: Final = 300.0
"""Prometheus looks back five minutes for a value."""
_DURATION: Final = re.compile(r"\d+(\.\d*)?|(\d+(ms|[smhdwy]))+", re.ASCII)
_STATUS: Final = {
    "bad_data": HTTPStatus.BAD_REQUEST,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """Prometheus's envelope for an error."""

    error_type: str
    error: str
    status: str = "error"


class Success(msgspec.Struct, frozen=True):
    """Prometheus's envelope for a result."""

    data: dict[str, Any]
    status: str = "success"


async def query(request: web.Request) -> web.Response:
    """`GET`: parameters in the URL."""
    return await _answer(request, request.query)


async def query_form(request: web.Request) -> web.Response:
    """`POST`: parameters in a form or in the URL; those of the form win."""
    if request.content_type.startswith("multipart/"):  # aiohttp would write its files to disk
        return _envelope(Failure("bad_data", "send the form as application/x-www-form-urlencoded"))
    try:
        async with in_time():
            form = await request.post()
    except (ValueError, LookupError) as error:
        return _envelope(Failure("bad_data", f"the body is not a form: {error}"))
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return await _answer(request, {**request.query, **fields})


async def _answer(request: web.Request, parameters: Mapping[str, str]) -> web.Response:
    context = request.app[API]
    try:
        time_s = _time_s(parameters)
        _check_timeout(parameters)
        if not context.view.is_complete:
            return _envelope(Failure("unavailable", "this worker is still reading the topics"))
        present = context.present
        rollouts = {
            name: rollout
            for name, rollout in context.view.all().items()
            if rollout.decision is not None and says_something(rollout.decision, present)
        }
        data = await in_thread(
            context.query_threads,
            lambda: answer(parameters.get("query", ""), samples(rollouts), time_s),
        )
    except BadQuery as error:
        return _envelope(Failure("bad_data", str(error)))
    return _envelope(Success(data))


def _envelope(body: Success | Failure) -> web.Response:
    status = _STATUS[body.error_type] if isinstance(body, Failure) else HTTPStatus.OK
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return web.Response(status=status, body=encoded(body),
                        content_type="application/json", headers=headers)  # fmt: skip


def _time_s(parameters: Mapping[str, str]) -> float:
    """The time of the query in Unix seconds; now unless given. Raises `BadQuery`."""
    now_s, written = time.time(), parameters.get("time", "")
    time_s = _parsed(written) if written else now_s
    if time_s is None:
        raise BadQuery(f'invalid parameter "time": {written[:100]!r} is not a timestamp')
    if not abs(time_s - now_s) <= PRESENT_S:
        raise BadQuery('invalid parameter "time": only the present can be queried here')
    return round(time_s, 3)


def _parsed(written: str) -> float | None:
    """Unix seconds from a number or RFC 3339."""
    try:
        return float(written)
    except ValueError:
        pass
    try:
        parsed = dt.datetime.fromisoformat(written)
    except ValueError:
        return None
    return parsed.timestamp() if parsed.tzinfo else None


def _check_timeout(parameters: Mapping[str, str]) -> None:
    """Refuse what is not a duration; queries are too short to need a limit."""
    written = parameters.get("timeout", "")
    if written and not _DURATION.fullmatch(written):
        raise BadQuery(f'invalid parameter "timeout": {written[:100]!r} is not a duration')
