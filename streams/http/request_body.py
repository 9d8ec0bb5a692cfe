"""Reading the body of a request, within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, hdrs, web

from understudy.streams.http.problems import Problem

BODY_TIMEOUT_S: Final = 10.0
"""For a hundred kilobytes or so."""


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Raise a 408 problem when what is read inside the context takes too long."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            yield
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None


def expecting(routes: Iterable[web.AbstractRouteDef]) -> list[web.AbstractRouteDef]:
    """The routes, with our answer to a client that asks whether to send its body."""
    return [
        web.RouteDef(
            one.method, one.path, one.handler, {**one.kwargs, "expect_handler": send_continue}
        )
        if isinstance(one, web.RouteDef)
        else one
        for one in routes
    ]


async def send_continue(request: web.Request) -> None:
    """Ask for the body. Other expectations are ignored, as RFC 9110 permits.

    aiohttp refuses them outside of all error handling, with the client's text in the answer.
    """
    expected = request.headers.get(hdrs.EXPECT, "").lower()
    if expected == "100-continue" and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response itself has not begun
