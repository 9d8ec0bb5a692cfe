"""The real client against an endpoint at this machine that behaves as real ones do."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web

from tests.streams.evaluating.scripted_judge import (
    JudgeServer,
    Responder,
    completion,
    judgement,
    refusal,
)
from understudy.streams.errors import CommandError
from understudy.streams.evaluating.judge_model import JudgeReply, JudgeUnavailable
from understudy.streams.evaluating.openai_judge import OpenAIJudge
from understudy.streams.evaluating.prompts import Question
from understudy.streams.settings import EvaluatingSettings

pytestmark = pytest.mark.embedded
pytest.importorskip("openai", reason="needs the extra evaluating")

QUESTION = Question("You compare.", "=== n begin request …")


def ask(responder: Responder, times: int = 1, **settings: Any) -> tuple[JudgeReply, JudgeServer]:
    async def run(judge: OpenAIJudge) -> JudgeReply:
        try:
            for _ in range(times - 1):
                await judge.ask(QUESTION)
            return await judge.ask(QUESTION)
        finally:
            await judge.close()

    with JudgeServer(responder) as server:
        whole = {"base_url": server.base_url, "model": "m", "timeout_s": 10.0, **settings}
        return asyncio.run(run(OpenAIJudge(EvaluatingSettings(**whole)))), server


async def good(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
    return completion(judgement("A"))


def failing(responder: Responder, **settings: Any) -> JudgeUnavailable:
    with pytest.raises(JudgeUnavailable) as failure:
        ask(responder, **settings)
    return failure.value


def test_calls_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ask(good)
    assert caplog.records == []


def test_what_is_asked_and_answered() -> None:
    reply, server = ask(good, max_output_tokens=77)
    assert reply == JudgeReply(judgement("A"), "scripted-1", 100, 20)
    (body,) = server.requests
    assert body["model"] == "m"
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["response_format"]["type"] == "json_schema"
    assert (body["max_tokens"], body["temperature"]) == (77, 0.0)


def test_parameters_that_a_server_refuses_are_left_out_and_not_sent_again() -> None:
    async def picky(body: dict[str, Any], _: web.Request) -> web.StreamResponse:
        form = body.get("response_format", {}).get("type")
        if form == "json_schema":
            return refusal(400, "Invalid parameter: 'response_format' of type 'json_schema'")
        if form == "json_object":
            return refusal(422, "This response_format type is unavailable now")
        if "max_tokens" in body:
            return refusal(400, "Use 'max_completion_tokens' instead of 'max_tokens'.")
        if "temperature" in body:
            return refusal(400, "Unsupported value: 'temperature' does not support 0.0")
        assert body["max_completion_tokens"] == 1_024
        return completion(judgement("B"))

    reply, server = ask(picky, times=3)
    assert reply.text == judgement("B")
    assert len(server.requests) == 4 + 3


@pytest.mark.parametrize(
    ("status", "reason", "is_passing"),
    [
        (429, "rate_limit", True),
        (500, "500", True),
        (503, "503", True),
        (408, "408", True),
        (401, "401", True),
        (404, "404", True),
        (400, "400", False),
    ],
)
def test_statuses(status: int, reason: str, is_passing: bool) -> None:
    async def refuse(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        return refusal(status, "no", **{"retry-after": "7"})

    failure = failing(refuse)
    assert (failure.reason, failure.is_passing) == (reason, is_passing)
    assert failure.retry_after_s == (30.0 if status in (401, 404) else 7.0)


def test_a_server_that_says_nothing() -> None:
    async def hang(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3_600)
        return web.Response()

    failure = failing(hang, timeout_s=0.2)
    assert (failure.reason, failure.is_passing) == ("timeout", True)


def test_a_server_that_drips() -> None:
    """Each byte would be in time for a timeout that looks at reads."""

    async def drip(_: dict[str, Any], request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    assert failing(drip, timeout_s=0.3).reason == "timeout"


def test_nobody_there() -> None:
    async def run() -> None:
        judge = OpenAIJudge(EvaluatingSettings(base_url="http://127.0.0.1:9/v1", model="m"))
        with pytest.raises(JudgeUnavailable) as failure:
            await judge.ask(QUESTION)
        assert (failure.value.reason, failure.value.is_passing) == ("unreachable", True)

    asyncio.run(run())


@pytest.mark.parametrize(
    "body",
    [
        b"<html>it works</html>",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": null}]}',
        b"[1, 2]",
        b"null",
        b"\xff\xfe",
        b'{"choices": {"a": 1}}',
        b'{"choices": "abc"}',
        b'{"choices": [[1]]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"content": [5]}}]}',
        b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_garbage_is_no_answer(body: bytes) -> None:
    async def rubbish(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    failures: list[JudgeUnavailable] = []
    try:
        reply, _ = ask(rubbish)
        assert reply.text is None
    except JudgeUnavailable as failure:
        failures.append(failure)
    assert all((one.reason, one.is_passing) == ("protocol", False) for one in failures)


def test_text_in_parts_and_names_that_cannot_be_written() -> None:
    parts = [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "{}"}]
    body = {"model": "m\ud800\n", "choices": [{"message": {"content": parts}}]}

    async def answer(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    reply, _ = ask(answer)
    assert (reply.text, reply.model) == ("{}", "m")


@pytest.mark.parametrize("status", [401, 400, 500])
def test_a_failure_tells_neither_the_key_nor_the_prompt(status: int) -> None:
    async def echo(body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        said = f"{request.headers['Authorization']} {body['messages']}\x1b[2J\nnext line"
        error = {"message": said, "code": "bad", "type": "sk-SECRET\n" + "x" * 99, "param": "p"}
        return web.json_response({"error": error}, status=status)

    failure = failing(echo, api_key="sk-SECRET")
    assert str(failure).startswith(f"HTTP {status} ")
    assert ", code bad, type [key] xxx" in str(failure)
    assert str(failure).endswith("x, param p")
    assert str(failure).isprintable()
    assert len(str(failure)) < 200
    assert not any(told in str(failure) for told in ("SECRET", "Bearer", "compare", "request"))


def test_an_answer_that_is_none_is_not_quoted() -> None:
    async def echo(body: dict[str, Any], _: web.Request) -> web.StreamResponse:
        return web.Response(text=str(body["messages"]), content_type="application/json")

    assert "compare" not in str(failing(echo))


def test_a_key_from_a_file_ends_with_a_line() -> None:
    _, server = ask(good, api_key=" sk-SECRET\n")
    assert server.headers[0]["Authorization"] == "Bearer sk-SECRET"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"api_key": "sk-SECRET\x00x"}, "printable ASCII"),
        ({"api_key": "sk-SECRET\nx"}, "printable ASCII"),
        ({"base_url": "http://user:SECRET pw@h/v1"}, "no URL"),
        ({"base_url": "http://SECRET:99999/v1"}, "no URL"),
        ({"base_url": "http://[::1/SECRET"}, "no URL"),
        ({"base_url": "http://:80/SECRET"}, "no URL"),
    ],
)
def test_what_no_client_can_use_is_refused_and_not_told(changes: Any, said: str) -> None:
    given = {"base_url": "http://127.0.0.1:9/v1", "model": "m", **changes}
    with pytest.raises(CommandError, match=said) as refused:
        OpenAIJudge(EvaluatingSettings(**given))
    assert "SECRET" not in str(refused.value)


def one_refusal(body: dict[str, Any], then: Responder) -> Responder:
    """Refuse the first call alone."""
    refused: list[bool] = []

    async def answer(asked: dict[str, Any], request: web.Request) -> web.StreamResponse:
        if refused:
            return await then(asked, request)
        refused.append(True)
        return web.json_response({"error": body}, status=400)

    return answer


@pytest.mark.parametrize(
    "message",
    [
        "'max_tokens' is too large: 1024. This model's context is 4096 tokens",
        "content policy: the prompt 'which temperature melts iron?' is refused",
    ],
)
def test_a_refusal_of_one_request_changes_nothing(message: str) -> None:
    async def run(url: str) -> None:
        judge = OpenAIJudge(EvaluatingSettings(base_url=url, model="m"))
        with pytest.raises(JudgeUnavailable):
            await judge.ask(QUESTION)
        await judge.ask(QUESTION)
        await judge.close()

    with JudgeServer(one_refusal({"message": message}, good)) as server:
        asyncio.run(run(server.base_url))
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]


def test_what_does_not_help_is_not_learned() -> None:
    """The prompt is improper, and the message happens to name a parameter."""

    async def improper(body: dict[str, Any], _: web.Request) -> web.StreamResponse:
        if body["messages"][0]["content"] == "improper":
            return refusal(400, "unknown topic: temperature")
        return completion(judgement("A"))

    async def run(url: str) -> None:
        judge = OpenAIJudge(EvaluatingSettings(base_url=url, model="m"))
        with pytest.raises(JudgeUnavailable):
            await judge.ask(Question("improper", QUESTION.user))
        await judge.ask(QUESTION)
        await judge.close()

    with JudgeServer(improper) as server:
        asyncio.run(run(server.base_url))
    assert server.requests[-1]["temperature"] == 0.0


def test_a_parameter_that_the_error_names_is_left_out() -> None:
    refused = {"message": "no", "param": "temperature"}
    _, server = ask(one_refusal(refused, good), times=2)
    assert ["temperature" in body for body in server.requests] == [True, False, False]


def test_prices() -> None:
    settings = EvaluatingSettings(
        base_url="http://127.0.0.1:9/v1",
        model="m",
        input_usd_per_million_tokens=3.0,
        output_usd_per_million_tokens=15.0,
        max_output_tokens=100,
    )
    judge = OpenAIJudge(settings)
    assert judge.is_priced
    assert judge.most_usd(936) == pytest.approx((1_000 * 3 + 100 * 15) / 1e6)
    known = JudgeReply("x", input_tokens=500, output_tokens=50)
    assert judge.cost_usd(known, QUESTION) == pytest.approx((500 * 3 + 50 * 15) / 1e6)
    assert judge.cost_usd(JudgeReply("x", cost_usd=0.5), QUESTION) == 0.5
    assert judge.cost_usd(JudgeReply("x"), QUESTION) == judge.most_usd(QUESTION.utf8_bytes)
    asyncio.run(judge.close())
    unpriced = OpenAIJudge(EvaluatingSettings(base_url="http://127.0.0.1:9/v1", model="m"))
    assert not unpriced.is_priced
    asyncio.run(unpriced.close())


@pytest.mark.parametrize("told", [-1, 1e9, "free", None, True, float("nan")])
def test_prices_and_counts_that_cannot_be_are_not_believed(told: Any) -> None:
    async def priced(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        return completion(judgement("A"), cost=told, prompt_tokens=10**12)

    reply, _ = ask(priced)
    assert reply.cost_usd in (None, 1.0)
    assert reply.input_tokens is None


def test_a_server_that_tells_the_price_is_believed() -> None:
    async def priced(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
        return completion(judgement("A"), cost=0.25)

    reply, _ = ask(priced)
    assert reply.cost_usd == 0.25


@pytest.mark.parametrize(("finish_reason", "is_cut"), [("length", True), ("stop", False)])
def test_an_answer_that_ended_at_the_limit_says_so(finish_reason: str, is_cut: bool) -> None:
    async def answer(*_: object) -> web.StreamResponse:
        made = json.loads(completion("A is").text or "")
        made["choices"][0]["finish_reason"] = finish_reason
        return web.json_response(made)

    reply, _ = ask(answer)
    assert reply.is_cut is is_cut
