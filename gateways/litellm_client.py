"""A Router around `litellm.acompletion`.

    acompletion = RoutedLiteLLM(
        "checkout-2026-11", stable_model="openai/heron-4", candidate_model="acme/heron-5",
        decisions=decisions, publisher=publisher,
    )
    answer = await acompletion(messages=[…])

It takes what `litellm.acompletion` takes, and returns the same; the rollout names the models, and
LiteLLM says what a call cost. Where LiteLLM's proxy or Router mirrors by itself, use
`understudy.gateways.litellm_callback` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import msgspec

from understudy.gateways.bounded_bodies import bound_bodies, can_bound
from understudy.gateways.call_reader import AnswerFacts
from understudy.gateways.chat_completions import ChatCompletions, get
from understudy.gateways.chat_routing import route_chat, with_bounded_bodies
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.exchange import EventPublisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.router import Router
from understudy.schemas.events import MAX_COST_USD, Fallback, Response, Usage


class RoutedLiteLLM:
    """A drop-in for `litellm.acompletion`."""

    def __init__(
        self,
        rollout_id: str,
        *,
        stable_model: str,
        candidate_model: str,
        decisions: DecisionSource,
        publisher: EventPublisher,
        acompletion: Callable[..., Any] | None = None,
        stable_arguments: Mapping[str, Any] | None = None,
        candidate_arguments: Mapping[str, Any] | None = None,
        streams_tell_usage: bool = True,
        **options: Any,
    ) -> None:
        """`acompletion` may be that of a `litellm.Router`, whose model groups are then the models.

        `stable_arguments` and `candidate_arguments` are added to the calls of one side, such as
        `api_base`. The candidate's answers are bounded in size where `litellm.aclient_session` is
        set: LiteLLM then calls OpenAI-compatible and Azure providers through it. `options` are
        those of `Router`.
        """
        if acompletion is None:
            litellm = import_module("litellm")
            acompletion = litellm.acompletion
            if can_bound(litellm.aclient_session):
                bound_bodies(litellm.aclient_session)
        self._asks_usage = streams_tell_usage
        self.router: Router[..., Any] = Router(
            rollout_id,
            stable=_asking(acompletion, stable_model, stable_arguments),
            candidate=with_bounded_bodies(
                _asking(acompletion, candidate_model, candidate_arguments)
            ),
            stable_model=stable_model,
            candidate_model=candidate_model,
            decisions=decisions,
            publisher=publisher,
            reader=LiteLLMCompletions(),
            **options,
        )

    async def __call__(self, *, context: RequestContext | None = None, **arguments: Any) -> Any:
        """Serve a chat completion. `model` is ignored: the rollout names it."""
        return await route_chat(
            self.router, context, arguments, streams_tell_usage=self._asks_usage
        )


def _asking(
    acompletion: Callable[..., Any], model: str, own: Mapping[str, Any] | None
) -> Callable[..., Any]:
    async def ask(**arguments: Any) -> Any:
        return await acompletion(model=model, **{**arguments, **(own or {})})

    return ask


class LiteLLMCompletions(ChatCompletions):
    """Chat completions with what LiteLLM adds: the cost, cache hits, fallbacks and retries."""

    def read_answer(self, answer: Any) -> AnswerFacts:
        """Read a `ModelResponse`."""
        facts = super().read_answer(answer)
        hidden = get(answer, "_hidden_params") or {}
        response, usage = facts.response or Response(), facts.usage
        cost_usd = _cost(get(hidden, "response_cost"))
        if cost_usd is not None:
            usage = msgspec.structs.replace(usage or Usage(), cost_usd=cost_usd)
        if get(hidden, "cache_hit") is True:
            response = msgspec.structs.replace(response, cache_hit=True)
        return AnswerFacts(response, usage, _fallback(get(hidden, "additional_headers"), response))


def _fallback(headers: Any, response: Response) -> Fallback | None:
    """What LiteLLM's headers say of attempts; None where there was one."""
    retries = _number(get(headers, "x-litellm-attempted-retries"))
    fallbacks = _number(get(headers, "x-litellm-attempted-fallbacks"))
    if not retries and not fallbacks:
        return None
    return Fallback(
        used=fallbacks > 0,
        model=response.model if fallbacks else None,
        attempts=1 + retries + fallbacks,
    )


def _number(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0


def _cost(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0.0 <= value <= MAX_COST_USD else None
