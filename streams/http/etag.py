"""Answers that a client asks for again and again: `ETag`, 304, and waiting for a change.

A client that sends `If-None-Match` with `Prefer: wait=30` (RFC 7240) is answered when there is
something else to tell, or after 30 s with 304.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import ETag, web

from understudy.streams.http.bodies import Body
from understudy.streams.http.materialized_view import MaterializedView

MAX_WAIT_S: Final = 60.0
_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=[,;]|$)", re.IGNORECASE)

Make = Callable[[], Body]


def wait_s(request: web.Request) -> float | None:
    """How long the client would wait, at most a minute; None where it does not say."""
    found = _WAIT.search(",".join(request.headers.getall("Prefer", [])))
    return min(float(found[1]), MAX_WAIT_S) if found else None


async def conditional(request: web.Request, view: MaterializedView, make: Make) -> web.Response:
    """What `make` makes, or 304 when the client has it; waits for a change when asked to."""
    body, waits_s = make(), wait_s(request)
    if waits_s and has(request.if_none_match, body.tag):
        known = body.tag
        await view.until(lambda: make().tag != known, waits_s)
        body = make()
    headers = {"Cache-Control": "no-cache", "Vary": "Prefer"}
    if waits_s is not None:
        headers["Preference-Applied"] = f"wait={waits_s:g}"
    if has(request.if_none_match, body.tag):
        response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    else:
        response = web.Response(body=body.payload, content_type="application/json", headers=headers)
    response.etag = body.tag
    return response


def has(tags: tuple[ETag, ...] | None, tag: str) -> bool:
    """Whether a condition names the tag."""
    return any(one.value in (tag, "*") for one in tags or ())
