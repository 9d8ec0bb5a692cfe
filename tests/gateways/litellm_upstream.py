"""A small server with OpenAI's chat completions, on a port of its own; the model names its moods.

`fail-…` answers 500, `limit-…` 429, `slow-…` after 300 ms; all others say "Hello you".
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

_SLOW_S: Final = 0.3
_TOKENS: Final = ("Hel", "lo ", "you")
_BETWEEN_TOKENS_S: Final = 0.02
_USAGE: Final = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
_FAILURES: Final = {"fail": (500, "server_error"), "limit": (429, "rate_limit_exceeded")}


class Upstream:
    """Answers, and counts the calls of each model."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.calls: Counter[str] = Counter()

    def deployment(self, group: str, model: str, **parameters: Any) -> dict[str, Any]:
        """An entry of LiteLLM's `model_list`."""
        named = {"model": f"openai/{model}", "api_base": self.base_url, "api_key": "none"}
        return {"model_name": group, "litellm_params": {**named, **parameters}}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        model = asked["model"]
        self.calls[model] += 1
        mood = model.partition("-")[0]
        if mood == "slow":
            await asyncio.sleep(_SLOW_S)
        if mood in _FAILURES:
            status, code = _FAILURES[mood]
            return web.json_response({"error": {"message": "no", "code": code}}, status=status)
        if asked.get("stream"):
            return await _stream(request, model)
        choice = {"index": 0, "message": _message("".join(_TOKENS)), "finish_reason": "stop"}
        return web.json_response({**_body(model), "choices": [choice], "usage": _USAGE})


@asynccontextmanager
async def running_upstream() -> AsyncIterator[Upstream]:
    """An upstream that runs in this event loop."""
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    upstream = Upstream(0)
    app.router.add_post("/v1/chat/completions", lambda request: upstream.answer(request))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        upstream.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield upstream
    finally:
        await runner.cleanup()


def _body(model: str) -> dict[str, Any]:
    """All answers have one id: nothing may rely on what a provider sends."""
    return {"id": "the-same", "object": "chat.completion", "created": 1, "model": model}


def _message(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


async def _stream(request: web.Request, model: str) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    deltas: list[tuple[dict[str, Any], str | None]] = [
        *((_message(token), None) for token in _TOKENS),
        ({}, "stop"),
    ]
    for delta, reason in deltas:
        await asyncio.sleep(_BETWEEN_TOKENS_S)
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {**_body(model), "object": "chat.completion.chunk", "choices": [choice]}
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response
