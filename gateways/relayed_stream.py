"""A streamed answer on its way to the user: each chunk is passed on as it comes, and noted."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from understudy.gateways.background_calls import (
    YIELD_EVERY,
    close_stream,
    is_cancelled_from_outside,
)
from understudy.gateways.call_errors import HUNG_UP, TIMEOUT, TOO_LARGE, error_of
from understudy.gateways.call_notes import NOTES
from understudy.gateways.exchange import SideRecord
from understudy.gateways.model_call import ModelCall
from understudy.schemas.events import Error

OnStreamEnd = Callable[[SideRecord], None]
Rescue = Callable[[], Awaitable[Any]]
"""Returns another stream, for one that failed before its first token."""
MAX_HELD_CHUNKS: Final = 1_000
"""Chunks before the first token: a keep-alive in each second of a quarter of an hour."""


class _ClosedStream(ABC):
    """A stream that closes at the end of its context, by either name."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the stream; the caller wants no more of it."""

    async def close(self) -> None:
        """Close the stream, as `aclose` does."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class RelayedStream(_ClosedStream):
    """Iterates as the model's own stream does; other attributes are those of that stream."""

    def __init__(self, stream: Any, measured: ModelCall, on_end: OnStreamEnd) -> None:
        self._stream = stream
        self._iterator: AsyncIterator[Any] = stream.__aiter__()
        self._measured = measured
        self._on_end: OnStreamEnd | None = on_end
        self._loop = asyncio.get_running_loop()
        self.has_begun = False
        """Whether a chunk carried a part of the answer."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        token = NOTES.set(self._measured.notes)
        try:
            chunk = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._end(self._measured.stream_ended)
            raise
        except GeneratorExit:
            self.hang_up()
            raise
        except asyncio.CancelledError as failure:
            self.fail(HUNG_UP if is_cancelled_from_outside() else error_of(failure))
            raise
        except (Exception, SystemExit) as failure:
            self.fail(error_of(failure))
            raise
        finally:
            NOTES.reset(token)
        self.has_begun = self._measured.take_chunk(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close the model's stream; the caller wants no more of it."""
        self.hang_up()
        await close_stream(self._stream)

    def hang_up(self) -> None:
        """Note that the caller went away, unless the stream is over."""
        self.fail(HUNG_UP)

    def fail(self, error: Error) -> None:
        """Note why the stream broke off, unless it is over."""
        self._end(lambda: self._measured.failed(error))

    def _end(self, record: Callable[[], SideRecord]) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(record())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if self.__dict__.get("_on_end") is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end, lambda: self._measured.failed(HUNG_UP))


class RescuedStream(_ClosedStream):
    """A candidate's stream that stable takes over where it fails before its first token.

    Chunks that carry nothing of the answer are held until the first that does.
    """

    def __init__(
        self,
        stream: RelayedStream,
        deadline_s: float,
        *,
        on_served: Callable[[], None],
        rescue: Rescue,
    ) -> None:
        """`deadline_s` is the time of the event loop by which the first token has to come.

        `on_served` is called once it is certain that the user gets the candidate's answer.
        """
        self._on_served = on_served
        self._current: Any = stream
        self._candidate = stream
        self._deadline_s = deadline_s
        self._rescue = rescue
        self._held: deque[Any] = deque()
        self._has_begun = False
        self._closing: asyncio.Task[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._has_begun:
            await self._begin()
        if self._held:
            return self._held.popleft()
        if self._current is not self._candidate:
            return await self._current.__anext__()
        try:
            return await self._candidate.__anext__()
        except (asyncio.CancelledError, SystemExit) as failure:
            if is_cancelled_from_outside():
                raise
            raise RuntimeError(f"the candidate's client raised {failure!r}") from failure

    async def _begin(self) -> None:
        """Wait for the candidate's first token; on failure let stable serve instead."""
        self._has_begun = True
        if await self._has_first_token():
            self._on_served()
            return
        self._held.clear()
        self._closing = asyncio.ensure_future(close_stream(self._candidate))
        self._current = (await self._rescue()).__aiter__()

    async def _has_first_token(self) -> bool:
        """Hold chunks up to the first token, or to the end of an answer without any."""
        reading = asyncio.ensure_future(self._hold_chunks())
        timeout_s = self._deadline_s - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({reading}, timeout=max(0.0, timeout_s))
        except asyncio.CancelledError:
            self._hang_up()
            reading.cancel()
            raise
        if not reading.done():
            self._candidate.fail(TIMEOUT)
            reading.cancel()
            return False
        return reading.result()

    async def _hold_chunks(self) -> bool:
        """Return whether the stream did not fail before its first token."""
        try:
            async for chunk in self._candidate:
                self._held.append(chunk)
                if self._candidate.has_begun:
                    break
                if len(self._held) % YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # a stream that never waits lets no timer run
                if len(self._held) > MAX_HELD_CHUNKS:
                    self._candidate.fail(TOO_LARGE)
                    return False
        except asyncio.CancelledError:
            if is_cancelled_from_outside():
                raise
            return False
        except (Exception, SystemExit):  # the latter would end the event loop
            return False
        return True

    def _hang_up(self) -> None:
        self._on_served()
        self._candidate.hang_up()

    async def aclose(self) -> None:
        """Close the stream; the caller wants no more of it."""
        self._hang_up()
        await close_stream(self._current)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current, name)
