"""The real `openai.AsyncOpenAI` between a Router and a local upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.gateways.openai_upstream import TEXT, Upstream, upstream
from tests.gateways.rig import ROLLOUT, Published, allocation
from understudy.gateways.background_calls import CallLimits
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.openai_client import RoutedOpenAI
from understudy.gateways.prices import Price, PriceTable
from understudy.gateways.request_context import RequestContext
from understudy.schemas.events import Error

openai = pytest.importorskip("openai", reason="needs the package openai")
pytestmark = pytest.mark.embedded

MESSAGES = [{"role": "user", "content": "Hallo?"}]
PRICES = PriceTable({"good": Price(input=1.0, output=10.0)})
ANSWER = "".join(TEXT)


class Bench:
    """A routed client; stable is the model `good`."""

    def __init__(self, server: Upstream, candidate: str, given: Any, **options: Any) -> None:
        self.server = server
        self.published = Published()
        self.own = openai.AsyncOpenAI(api_key="x", base_url=server.url)
        self.client = RoutedOpenAI(
            ROLLOUT,
            stable=self.own,
            stable_model="good",
            candidate_model=candidate,
            decisions=FixedAllocations(given),
            publisher=self.published,
            prices=PRICES,
            max_decision_age_s=float("inf"),
            **options,
        )

    async def ask(self, **arguments: Any) -> Any:
        arguments = {"messages": MESSAGES, **arguments}
        return await self.client.chat.completions.create(**arguments)

    async def drained(self) -> None:
        await self.client.router.aclose(60.0)
        await asyncio.sleep(0)


def on(
    candidate: str, use: Callable[[Bench], Awaitable[Any]], given: Any = None, **options: Any
) -> tuple[Bench, Any]:
    """Use a client around a candidate, and wait until everything is over."""

    async def main() -> tuple[Bench, Any]:
        async with upstream() as server:
            bench = Bench(server, candidate, given or allocation(), **options)
            result = await use(bench)
            await bench.drained()
            await bench.own.close()
            return bench, result

    return asyncio.run(main())


def test_a_completion_and_what_it_cost() -> None:
    context = RequestContext(conversation_id="c1", turn=2)

    async def use(bench: Bench) -> Any:
        return await bench.ask(model="ignored", temperature=0.1, context=context, user="u7")

    bench, answer = on("good-mini", use)
    assert answer.choices[0].message.content == ANSWER
    assert sorted(bench.server.models()) == ["good", "good-mini"]
    assert all(body["temperature"] == 0.1 for body in bench.server.bodies)
    for event in bench.published.events:
        assert event.request is not None
        assert event.response is not None
        assert event.usage is not None
        assert event.request.prompt == "Hallo?"
        assert (event.response.output, event.response.finish_reason) == (ANSWER, "stop")
        assert (event.usage.input_tokens, event.usage.output_tokens) == (12, 3)
        assert event.usage.cost_usd == pytest.approx(42e-6)
        assert (event.conversation_id, event.turn) == ("c1", 2)
    models = [event.response.model for event in bench.published.events if event.response]
    assert models == ["good-2026-05-01", "good-mini-2026-05-01"]


def test_tool_calls() -> None:
    tool = {"type": "function", "function": {"name": "find_rooms", "parameters": {}}}
    bench, _ = on("tools", lambda bench: bench.ask(tools=[tool]))
    response = bench.published.side("candidate").response
    assert response is not None
    (call,) = response.tool_calls or ()
    assert call.name == "find_rooms"
    assert json.loads(json.loads(bytes(call.arguments))) == {"city": "Lisbon"}
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize("asks_usage", [True, False])
@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_stream_looks_as_it_was_asked_for(asks_usage: bool, mode: Any) -> None:
    options = {"stream_options": {"include_usage": True}} if asks_usage else {}

    async def use(bench: Bench) -> list[Any]:
        stream = await bench.ask(stream=True, **options)
        assert stream.response.status_code == 200
        return [chunk async for chunk in stream]

    bench, chunks = on("good-mini", use, allocation(mode, float(mode == "canary")))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert bool(chunks[-1].usage) is asks_usage
    for event in bench.published.events:
        assert event.response is not None
        assert event.usage is not None
        assert event.timing is not None
        assert (event.response.output, event.response.stream) == (ANSWER, True)
        assert (event.usage.input_tokens, event.usage.output_tokens) == (12, 3)
        assert event.timing.time_to_first_token_ms is not None
    assert len(bench.published.events) == (2 if mode == "shadow" else 1)


def test_a_stream_is_left_as_a_context_manager() -> None:
    async def use(bench: Bench) -> None:
        async with await bench.ask(stream=True) as stream:
            await anext(stream)

    bench, _ = on("good-mini", use)
    error = bench.published.side("stable").error
    assert error == Error(type="cancelled", source="client")


def test_the_clients_own_retries_are_attempts_of_one_side() -> None:
    bench, _ = on("flaky", lambda bench: bench.ask())
    candidate = bench.published.side("candidate")
    assert candidate.error is None
    assert candidate.fallback is not None
    assert candidate.fallback.attempts == 2


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("candidate", "error"),
    [
        ("down", Error(type="bad_request", status=400)),
        ("hanging", Error(type="timeout", source="provider")),
        ("huge", Error(type="answer_too_large", source="provider")),
        ("garbage", None),
    ],
)
def test_a_candidate_that_fails_reaches_nobody(
    candidate: str, error: Error | None, is_streamed: bool
) -> None:
    async def use(bench: Bench) -> Any:
        answer = await bench.ask(stream=is_streamed)
        if not is_streamed:
            return answer.choices[0].message.content
        return "".join([c.choices[0].delta.content or "" async for c in answer])

    bench, answer = on(
        candidate, use, limits=CallLimits(timeout_s=1.0 if candidate == "hanging" else 60.0)
    )
    assert answer == ANSWER
    found = bench.published.side("candidate")
    if error is not None:
        assert found.error == error
    else:  # what a client makes of bytes that are no JSON differs; it is no answer
        assert found.error is not None or found.response is None or not found.response.output
    assert bench.server.sent_bytes < 90 * 1_048_576


def test_stables_own_answers_are_not_bounded_by_the_same_client() -> None:
    async def use(bench: Bench) -> None:
        bound = bench.own._client.event_hooks["response"]
        assert len(bound) == 1
        with pytest.raises(openai.APIError):
            await bench.own.chat.completions.create(model="down", messages=MESSAGES)

    on("good-mini", use)


def test_all_else_is_stables_own_client() -> None:
    async def use(bench: Bench) -> None:
        assert bench.client.embeddings is bench.own.embeddings
        assert bench.client.base_url == bench.own.base_url
        assert bench.client.chat.completions.with_raw_response is not None

    on("good-mini", use)
