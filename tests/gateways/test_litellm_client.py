"""The real `litellm.acompletion` between a Router and a local upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.gateways.openai_upstream import TEXT, Upstream, upstream
from tests.gateways.rig import ROLLOUT, Published, allocation
from understudy.gateways.background_calls import CallLimits
from understudy.gateways.call_reader import AnswerFacts
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.litellm_client import LiteLLMCompletions, RoutedLiteLLM
from understudy.gateways.prices import Price, PriceTable
from understudy.gateways.request_context import RequestContext
from understudy.schemas.events import Error, Fallback, Response, Usage

MESSAGES = [{"role": "user", "content": "Hallo?"}]
ANSWER = "".join(TEXT)


def completion(**hidden: Any) -> dict[str, Any]:
    choice = {"message": {"content": "Hallo"}, "finish_reason": "stop"}
    return {"model": "heron-4", "choices": [choice], "_hidden_params": hidden}


@pytest.mark.parametrize(
    ("hidden", "facts"),
    [
        ({"response_cost": 0.002}, AnswerFacts(usage=Usage(cost_usd=0.002))),
        ({"response_cost": -1.0}, AnswerFacts()),
        ({"response_cost": None, "cache_hit": None}, AnswerFacts()),
        ({"cache_hit": True}, AnswerFacts(Response(cache_hit=True))),
        (
            {"additional_headers": {"x-litellm-attempted-retries": "2"}},
            AnswerFacts(fallback=Fallback(used=False, attempts=3)),
        ),
        (
            {"additional_headers": {"x-litellm-attempted-fallbacks": 1}},
            AnswerFacts(fallback=Fallback(used=True, model="heron-4", attempts=2)),
        ),
        ({"additional_headers": {"x-litellm-attempted-retries": "many"}}, AnswerFacts()),
    ],
)
def test_what_litellm_adds(hidden: dict[str, Any], facts: AnswerFacts) -> None:
    read = LiteLLMCompletions().read_answer(completion(**hidden))
    assert (read.usage, read.fallback) == (facts.usage, facts.fallback)
    assert read.response is not None
    assert read.response.output == "Hallo"
    assert bool(read.response.cache_hit) is bool(facts.response and facts.response.cache_hit)


def on(
    candidate: str, use: Callable[[Any], Awaitable[Any]], given: Any = None, **options: Any
) -> tuple[Published, Any]:
    """Use a routed `acompletion`, and wait until everything is over. Stable is `good`."""
    pytest.importorskip("litellm", reason="needs the package litellm")
    published = Published()

    async def main(server: Upstream) -> Any:
        place = {"api_base": server.url, "api_key": "x"}
        acompletion = RoutedLiteLLM(
            ROLLOUT,
            stable_model="openai/good",
            candidate_model=f"openai/{candidate}",
            decisions=FixedAllocations(given or allocation()),
            publisher=published,
            stable_arguments=place,
            candidate_arguments=place,
            prices=PriceTable({"good": Price(input=1.0, output=10.0)}),
            max_decision_age_s=float("inf"),
            **options,
        )
        result = await use(acompletion)
        await acompletion.router.aclose(60.0)
        await asyncio.sleep(0)
        return result

    async def served() -> Any:
        async with upstream() as server:
            return await main(server)

    return published, asyncio.run(served())


@pytest.mark.embedded
@pytest.mark.slow
class TestWithLiteLLM:
    def test_a_completion(self) -> None:
        context = RequestContext(conversation_id="c1")
        published, answer = on("good-mini", lambda ask: ask(messages=MESSAGES, context=context))
        assert answer.choices[0].message.content == ANSWER
        for event in published.events:
            assert event.response is not None
            assert event.usage is not None
            assert event.response.output == ANSWER
            assert event.usage.cost_usd == pytest.approx(42e-6)
            assert event.conversation_id == "c1"

    @pytest.mark.parametrize("mode", ["shadow", "canary"])
    def test_a_stream(self, mode: Any) -> None:
        async def use(ask: Any) -> str:
            stream = await ask(messages=MESSAGES, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        published, text = on("good-mini", use, allocation(mode, float(mode == "canary")))
        assert text == ANSWER
        for event in published.events:
            assert event.response is not None
            assert event.usage is not None
            assert event.timing is not None
            assert event.response.output == ANSWER
            assert event.usage.output_tokens == 3
            assert event.timing.time_to_first_token_ms is not None

    @pytest.mark.parametrize(
        ("candidate", "error"),
        [
            ("down", Error(type="bad_request", status=400)),
            ("hanging", Error(type="timeout", source="provider")),
        ],
    )
    def test_a_candidate_that_fails_reaches_nobody(self, candidate: str, error: Error) -> None:
        published, answer = on(
            candidate, lambda ask: ask(messages=MESSAGES), limits=CallLimits(timeout_s=2.0)
        )
        assert answer.choices[0].message.content == ANSWER
        assert published.side("candidate").error == error
