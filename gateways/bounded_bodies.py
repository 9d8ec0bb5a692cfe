"""Bounds the bytes of HTTP answers to mirrored calls, where the client is built on httpx.

Only the transport can keep 100 MB from being read: once an answer is an object, it is too late. So
a hook of the HTTP client looks at each response before its body is read. The bound is a context
variable, since stable's calls may use the same HTTP client and are not bounded.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

from understudy.gateways.call_reader import AnswerTooLarge

MAX_WHOLE_BYTES: Final = 4 * 1_048_576
"""Of an answer that is held in memory: what events hold, with all that JSON can make of it."""
MAX_STREAMED_BYTES: Final = 16 * 1_048_576
"""Of a stream, which repeats a few hundred bytes around each token."""
UNCOMPRESSED: Final = {"Accept-Encoding": "identity"}
"""Header of a bounded call: a few compressed bytes could become any number."""
BODY_LIMIT: Final[ContextVar[int | None]] = ContextVar("understudy_body_limit", default=None)
"""Bytes of an answer to the calls of this context; None for any number."""


def can_bound(http_client: Any) -> bool:
    """Return whether an HTTP client has hooks like those of httpx."""
    return isinstance(getattr(http_client, "event_hooks", None), Mapping)


def bound_bodies(http_client: Any) -> None:
    """Let an HTTP client respect `BODY_LIMIT`; doing so twice changes nothing."""
    hooks = http_client.event_hooks
    if _bound_body not in hooks.get("response", []):
        http_client.event_hooks = {
            **hooks,
            "response": [*hooks.get("response", []), _bound_body],
        }


async def _bound_body(response: Any) -> None:
    limit_bytes = BODY_LIMIT.get()
    if limit_bytes is None:
        return
    if response.headers.get("content-encoding", "identity") != "identity":
        raise AnswerTooLarge("the answer is compressed although that was not asked for")
    response.stream = _bounded(response, limit_bytes)


def _bounded(response: Any, limit_bytes: int) -> Any:
    """Return the body's stream with an end, as the class that the response expects."""
    library = sys.modules[type(response).__module__.partition(".")[0]]
    base: Any = library.AsyncByteStream

    class BoundedBody(base):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read_bytes = 0
            async for part in self._stream:
                read_bytes += len(part)
                if read_bytes > limit_bytes:
                    raise AnswerTooLarge(f"more than {limit_bytes} bytes")
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    return BoundedBody(response.stream)
