"""The two models behind the demo's gateway: they answer as the simulator says, when it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from understudy.gateways.call_reader import AnswerFacts
from understudy.schemas.events import Error, Event, Request, Side
from understudy.streams.demo.simulator import SimulatedRequest

_MS_PER_S: Final = 1000.0


class UpstreamError(Exception):
    """What a provider's client raises."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.type)
        self.status_code = error.status


class RateLimitError(UpstreamError):
    """429."""


class ServerError(UpstreamError):
    """5xx."""


class UpstreamTimeout(UpstreamError, TimeoutError):
    """No answer within the client's own limit."""


_EXCEPTIONS: Final[Mapping[str, type[UpstreamError]]] = {
    "rate_limit": RateLimitError, "timeout": UpstreamTimeout,
}  # fmt: skip


class Models:
    """Stable and the candidate. A second call of stable for one request is another run of it."""

    def __init__(self) -> None:
        self._asked: set[str] = set()

    async def stable(self, request: SimulatedRequest) -> Any:
        """Answer; a second time as `control` does."""
        pair_id = request.sides[0].event.pair_id
        if pair_id not in self._asked:
            self._asked.add(pair_id)
            return await _answer(_event_of(request, "stable"))
        return await _answer(_event_of(request, "control", request.again))

    async def candidate(self, request: SimulatedRequest) -> Any:
        """Answer."""
        return await _answer(_event_of(request, "candidate"))


def _event_of(
    request: SimulatedRequest, side: Side, again: Callable[[], Event] | None = None
) -> Event:
    for one in request.sides:
        if one.event.side == side:
            return one.event
    if again is None:
        raise LookupError(f"the simulator knows no {side} of this request")
    return again()


async def _answer(event: Event) -> Any:
    """An answer that comes at once, a stream of it, or an exception, at its time."""
    timing = event.timing
    duration_s = ((timing.duration_ms if timing else None) or 0.0) / _MS_PER_S
    if event.error is not None:
        await asyncio.sleep(duration_s)
        raise _EXCEPTIONS.get(event.error.type, ServerError)(event.error)
    if timing is None or timing.time_to_first_token_ms is None:
        await asyncio.sleep(duration_s)
        return event
    return _streamed(event, timing.time_to_first_token_ms / _MS_PER_S, duration_s)


async def _streamed(event: Event, first_token_s: float, duration_s: float) -> AsyncIterator[Event]:
    """The first token, and then all the rest at once."""
    began_s = asyncio.get_running_loop().time()
    await asyncio.sleep(first_token_s)
    yield event
    left_s = began_s + duration_s - asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, left_s))
    yield event


class SimulatedCalls:
    """The `CallReader` of these models: an answer is the event that the simulator made."""

    def read_request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Read the request that both sides share."""
        request: SimulatedRequest = args[0]
        return request.sides[0].event.request or Request()

    def read_answer(self, answer: Event) -> AnswerFacts:
        """Read a whole answer."""
        return AnswerFacts(answer.response, answer.usage, answer.fallback)

    def stream_reader(self) -> SimulatedChunks:
        """Read a stream."""
        return SimulatedChunks()


class SimulatedChunks:
    """A stream, each chunk of which is the event of the whole answer."""

    def __init__(self) -> None:
        self.characters = 0
        self._event: Event | None = None

    def add(self, chunk: Event) -> bool:
        """Take a chunk; the first is the first token."""
        self._event = chunk
        return True

    def facts(self) -> AnswerFacts:
        """Return the answer."""
        return SimulatedCalls().read_answer(self._event) if self._event else AnswerFacts()
