"""A judge that answers by a script: in this process, or as an endpoint with OpenAI's API."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from understudy.streams.evaluating.judge_model import JudgeReply
from understudy.streams.evaluating.prompts import Question

Script = Callable[[str, str, str], str]
"""Request, answer A, answer B → `A`, `B` or `tie`."""


def blocks_of(system: str, user: str) -> dict[str, str]:
    """What lies in the blocks of a question, by name: a judge that trusts the nonce alone."""
    nonce = re.search(r"=== (\w+) begin …", system)
    assert nonce is not None
    found = re.findall(
        rf"^=== {nonce[1]} begin (.+?)\n(.*?)\n=== {nonce[1]} end \1$",
        user,
        re.DOTALL | re.MULTILINE,
    )
    return dict(found)


def judgement(better: str) -> str:
    return json.dumps({"reason": "as the script says", "better": better})


class ScriptedModel:
    """A `JudgeModel` in this process."""

    is_priced = True

    def __init__(self, script: Script, *, usd: float = 0.001, pause_s: float = 0.0) -> None:
        self.script = script
        self.usd = usd
        self.pause_s = pause_s
        self.asked: list[Question] = []

    def most_usd(self, utf8_bytes: int) -> float:
        return self.usd

    def cost_usd(self, reply: JudgeReply, question: Question) -> float:
        return self.usd

    async def ask(self, question: Question) -> JudgeReply:
        self.asked.append(question)
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        blocks = blocks_of(question.system, question.user)
        better = self.script(blocks["request"], blocks["answer A"], blocks["answer B"])
        return JudgeReply(judgement(better), "scripted-1", 100, 20)

    async def close(self) -> None:
        pass


Responder = Callable[[dict[str, Any], web.Request], Awaitable[web.StreamResponse]]


ModelList = Callable[[web.Request], Awaitable[web.Response]]


class JudgeServer:
    """An endpoint at this machine that speaks OpenAI's chat completions; a context manager."""

    def __init__(self, responder: Responder, *, models: ModelList | None = None) -> None:
        self._responder = responder
        self._models = models
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/v1/chat/completions", self._answer)
        if self._models is not None:
            app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"http://{host}:{port}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        return await self._responder(body, request)


def completion(text: str | None, **usage: Any) -> web.Response:
    """An answer as OpenAI's API gives it."""
    counted = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, **usage}
    return web.json_response(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": counted,
        }
    )


def refusal(status: int, message: str, **headers: str) -> web.Response:
    """An error as OpenAI's API gives it."""
    return web.json_response(
        {"error": {"message": message, "type": "error", "param": None, "code": None}},
        status=status,
        headers=headers,
    )


def scripted(script: Script) -> Responder:
    """Answer by a script, as a judge does that keeps to the blocks."""

    async def answer(body: dict[str, Any], _: web.Request) -> web.StreamResponse:
        system, user = (message["content"] for message in body["messages"])
        blocks = blocks_of(system, user)
        return completion(
            judgement(script(blocks["request"], blocks["answer A"], blocks["answer B"]))
        )

    return answer
