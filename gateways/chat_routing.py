"""What `RoutedOpenAI` and `RoutedLiteLLM` share: a Router of chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from understudy.gateways.background_calls import close_stream
from understudy.gateways.bounded_bodies import (
    BODY_LIMIT,
    MAX_STREAMED_BYTES,
    MAX_WHOLE_BYTES,
    UNCOMPRESSED,
)
from understudy.gateways.chat_completions import get
from understudy.gateways.request_context import NO_CONTEXT, RequestContext
from understudy.gateways.router import Router

_USAGE: Final = {"include_usage": True}


async def route_chat(
    router: Router[..., Any],
    context: RequestContext | None,
    arguments: dict[str, Any],
    *,
    streams_tell_usage: bool,
) -> Any:
    """Serve a chat completion; `model` is ignored, since the rollout names it.

    With `streams_tell_usage` a stream is asked for its usage, and the chunk that has it reaches
    only callers who asked for it too.
    """
    arguments.pop("model", None)
    context = _with_user(context or NO_CONTEXT, arguments)
    adds_usage = streams_tell_usage and _is_without_usage(arguments)
    if adds_usage:
        arguments["stream_options"] = {**(arguments.get("stream_options") or {}), **_USAGE}
    answer = await router.route(context, (), arguments)
    return StreamWithoutUsage(answer) if adds_usage else answer


class StreamWithoutUsage:
    """A stream without the last chunk, which has the usage and no choice."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        chunk = await self._stream.__anext__()
        while get(chunk, "usage") is not None and not get(chunk, "choices"):
            chunk = await self._stream.__anext__()
        return chunk

    async def __aenter__(self) -> StreamWithoutUsage:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await close_stream(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def with_bounded_bodies(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same, with a limit on the bytes of the answer. It runs in a task of its own."""

    async def bounded(**arguments: Any) -> Any:
        is_stream = bool(arguments.get("stream"))
        BODY_LIMIT.set(MAX_STREAMED_BYTES if is_stream else MAX_WHOLE_BYTES)
        headers = {**(arguments.pop("extra_headers", None) or {}), **UNCOMPRESSED}
        return await ask(**arguments, extra_headers=headers)

    return bounded


def _is_without_usage(arguments: dict[str, Any]) -> bool:
    """Whether a stream is asked for, and not its usage."""
    options = arguments.get("stream_options")
    return bool(arguments.get("stream")) and not get(options or {}, "include_usage")


def _with_user(context: RequestContext, arguments: dict[str, Any]) -> RequestContext:
    """The context with the user that the request names, unless it has one."""
    user = arguments.get("safety_identifier") or arguments.get("user")
    if context.user_id is not None or not isinstance(user, str):
        return context
    return msgspec.structs.replace(context, user_id=user)
