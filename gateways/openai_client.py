"""A Router around `openai.AsyncOpenAI`: chat completions, whole and streamed.

    client = RoutedOpenAI(
        "checkout-2026-11",
        stable=AsyncOpenAI(), stable_model="heron-4", candidate_model="heron-5",
        decisions=decisions, publisher=publisher,
    )
    answer = await client.chat.completions.create(messages=[…])

`create` takes what OpenAI's takes, and returns the same; the rollout names the models. All else
(`client.embeddings`, `client.models`) is stable's own client.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from understudy.gateways.bounded_bodies import bound_bodies, can_bound
from understudy.gateways.call_notes import note
from understudy.gateways.chat_completions import ChatCompletions
from understudy.gateways.chat_routing import route_chat, with_bounded_bodies
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.exchange import EventPublisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.router import Router

_log: Final = logging.getLogger("understudy.gateways.openai_client")


class RoutedOpenAI:
    """Looks like `AsyncOpenAI`; a drop-in for `client.chat.completions.create`."""

    def __init__(
        self,
        rollout_id: str,
        *,
        stable: Any,
        candidate: Any = None,
        stable_model: str,
        candidate_model: str,
        decisions: DecisionSource,
        publisher: EventPublisher,
        streams_tell_usage: bool = True,
        **options: Any,
    ) -> None:
        """`candidate` is a client of its own where the candidate lives elsewhere.

        With `streams_tell_usage` streams are asked for their usage; the chunk that has it reaches
        only callers who asked for it too. `options` are those of `Router`.
        """
        other = stable if candidate is None else candidate
        http_client = getattr(other, "_client", None)
        if can_bound(http_client):
            bound_bodies(http_client)
        else:
            _log.warning("the size of the candidate's answers cannot be bounded with this client")
        self._client = stable
        self._asks_usage = streams_tell_usage
        self.router: Router[..., Any] = Router(
            rollout_id,
            stable=_completions(stable, stable_model),
            candidate=with_bounded_bodies(_completions(other, candidate_model)),
            stable_model=stable_model,
            candidate_model=candidate_model,
            decisions=decisions,
            publisher=publisher,
            reader=ChatCompletions(),
            **options,
        )
        self.chat = _Chat(self)

    async def create(self, *, context: RequestContext | None = None, **arguments: Any) -> Any:
        """Serve a chat completion. `model` is ignored: the rollout names it."""
        return await route_chat(
            self.router, context, arguments, streams_tell_usage=self._asks_usage
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _Chat:
    """The part of the client that is routed; the rest of `chat` is stable's own."""

    def __init__(self, routed: RoutedOpenAI) -> None:
        self._routed = routed
        self.completions = _Completions(routed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._routed._client.chat, name)


class _Completions:
    def __init__(self, routed: RoutedOpenAI) -> None:
        self._routed = routed
        self.create = routed.create

    def __getattr__(self, name: str) -> Any:
        return getattr(self._routed._client.chat.completions, name)


def _completions(client: Any, model: str) -> Callable[..., Any]:
    """Return a function that asks one model, and notes how many attempts that took."""

    async def ask(**arguments: Any) -> Any:
        raw = await client.chat.completions.with_raw_response.create(model=model, **arguments)
        retries = getattr(raw, "retries_taken", 0)
        if retries:
            note(attempts=retries + 1)
        answer = raw.parse()
        return await answer if inspect.isawaitable(answer) else answer

    return ask
