"""Reading the body of a request, within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

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
