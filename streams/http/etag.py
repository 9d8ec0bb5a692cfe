"""Conditional requests and long polls: `ETag`, 304, and waiting for a change.

A client that sends `If-None-Match` with `Prefer: wait=30` (RFC 7240) gets its response as soon as
there is a newer body, or 304 after 30 s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import ETag, web

from understudy.streams.http.access import waiting_client
from understudy.streams.http.bodies import Body
from understudy.streams.http.materialized_view import MaterializedView

MAX_WAIT_S: Final = 60.0
"""Proxies and load balancers commonly cut a connection that is silent for longer."""
ANY: Final = "*"
"""What a condition names for whatever there is."""
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=[,;]|$)", re.IGNORECASE)


def preferred_wait_s(request: web.Request) -> float | None:
    """How long the client prefers to wait, at most `MAX_WAIT_S`; None when it does not say."""
    found = _WAIT.search(",".join(request.headers.getall("Prefer", [])))
    return min(float(found[1]), MAX_WAIT_S) if found else None


async def conditional_response(
    request: web.Request, view: MaterializedView, make_body: Callable[[], Body]
) -> web.Response:
    """The body, or 304 when the client has it already; waits for a change on request."""
    body, waits_s = make_body(), preferred_wait_s(request)
    if waits_s and matches(request.if_none_match, body.tag):
        known = body.tag
        client = waiting_client(request)
        await view.wait_until(lambda: make_body().tag != known, waits_s, client)
        body = make_body()
    headers = {"Cache-Control": "no-cache", "Vary": "Prefer"}
    if waits_s is not None:
        headers["Preference-Applied"] = f"wait={waits_s:g}"
    if matches(request.if_none_match, body.tag):
        response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    else:
        response = web.Response(body=body.payload, content_type="application/json", headers=headers)
    response.etag = body.tag
    return response


def matches(conditions: tuple[ETag, ...] | None, tag: str) -> bool:
    """Whether `If-Match` or `If-None-Match` names the tag."""
    return any(one.value in (tag, ANY) for one in conditions or ())
