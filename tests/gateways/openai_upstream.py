"""A local server with OpenAI's chat completions, whose models are named after what they do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TEXT = ("Gu", "ten ", "Tag")
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
MIB = b"x" * 1_048_576


class Upstream:
    """`bodies` has what was asked, in order; `sent_bytes` what `huge` sent before it was cut."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self.sent_bytes = 0
        self._asked: dict[str, int] = {}

    def models(self) -> list[str]:
        return [body["model"] for body in self.bodies]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        name = body["model"]
        self._asked[name] = self._asked.get(name, 0) + 1
        behave: Callable[..., Any] = getattr(self, f"_{name.partition('-')[0]}", self._good)
        return await behave(request, body)  # type: ignore[no-any-return]

    async def _good(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body.get("stream"):
            return await self._streamed(request, body)
        return web.json_response(_completion(body, {"content": "".join(TEXT)}, "stop"))

    async def _tools(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        call = {"name": "find_rooms", "arguments": '{"city": "Lisbon"}'}
        calls = [{"id": "t1", "type": "function", "function": call}]
        return web.json_response(
            _completion(body, {"content": None, "tool_calls": calls}, "tool_calls")
        )

    async def _flaky(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self._asked[body["model"]] % 2:
            return _failed(429)
        return await self._good(request, body)

    async def _down(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return _failed(400)

    async def _hanging(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(600.0)
        return await self._good(request, body)

    async def _huge(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(MIB)
            self.sent_bytes += len(MIB)
        return response

    async def _garbage(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=b"\xff\xfe{[", content_type="application/json")

    async def _streamed(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for text in TEXT:
            await response.write(_chunk(body, [{"index": 0, "delta": {"content": text}}]))
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        await response.write(_chunk(body, [end]))
        if (body.get("stream_options") or {}).get("include_usage"):
            await response.write(_chunk(body, [], usage=USAGE))
        await response.write(b"data: [DONE]\n\n")
        return response


def _failed(status: int) -> web.Response:
    error = {"message": "not now", "type": "error", "code": str(status)}
    return web.json_response({"error": error}, status=status, headers={"retry-after-ms": "1"})


def _completion(body: dict[str, Any], message: dict[str, Any], finish: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "choices": [choice],
        "model": f"{body['model']}-2026-05-01", "usage": USAGE,
    }  # fmt: skip


def _chunk(body: dict[str, Any], choices: list[dict[str, Any]], **fields: Any) -> bytes:
    chunk = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "choices": choices,
        "model": f"{body['model']}-2026-05-01", **fields,
    }  # fmt: skip
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """The server on a port of its own; its `url` ends in `/v1`."""
    found = Upstream()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/v1"
    try:
        yield found
    finally:
        await runner.cleanup()
