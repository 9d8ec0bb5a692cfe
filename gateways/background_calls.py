"""Calls that no user waits for: as many at once, as long and as dear as the limits allow.

Nothing queues. A call that finds no room is not made, and its side is recorded as dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import msgspec

from understudy.gateways.async_calls import AsyncCall
from understudy.gateways.budget import Budget
from understudy.gateways.call_errors import HUNG_UP, MIRROR_DROPPED, TIMEOUT, TOO_LARGE
from understudy.gateways.call_notes import NOTES
from understudy.gateways.exchange import SideRecord
from understudy.gateways.model_call import ModelCall
from understudy.schemas.events import Error

CONCURRENCY, BUDGET, SHUTDOWN = "concurrency", "budget", "shutdown"
"""Why a call was not made, or was broken off: what events say in `attributes.mirror_dropped`."""
YIELD_EVERY: Final = 16
"""Chunks of a mirrored stream between two turns of everybody else: a stream that never waits would
keep the event loop for itself."""

OnEnd = Callable[[SideRecord], None]


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one Router."""

    max_in_flight: int = 64
    """Calls that no user waits for, at one time. Each holds one request and two answers."""
    timeout_s: float = 60.0
    """Of a call that no user waits for; half of the default join timeout, since both sides of a
    request are published when both are over."""
    served_timeout_s: float = 60.0
    """Until a candidate that is to be served has answered, or has streamed its first token; then
    stable serves instead."""


class BackgroundCall:
    """One call under way. `end_with` breaks it off."""

    def __init__(self, measured: ModelCall, on_end: OnEnd) -> None:
        self._measured = measured
        self._on_end: OnEnd | None = on_end
        self.task: asyncio.Task[Any] | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether its record is known; its task may still run."""
        return self._on_end is None

    def end_with(self, error: Error, dropped_for: str | None = None) -> None:
        """Break the call off, unless it is over."""
        self.end(self._measured.failed(error, dropped_for=dropped_for))
        if self.task is not None:
            self.task.cancel()

    def end(self, record: SideRecord) -> None:
        """Take how the call ended, the first time."""
        on_end, self._on_end = self._on_end, None
        if self.timer is not None:
            self.timer.cancel()
        if on_end is not None:
            on_end(record)

    def end_raised(self, failure: BaseException) -> None:
        """Take what the call raised."""
        self.end(self._measured.raised(failure))

    async def run(self, call: AsyncCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Make the call to its end, reading a stream; return the answer, None of a stream."""
        NOTES.set(self._measured.notes)
        try:
            answer = await call(*args, **kwargs)
            if not hasattr(answer, "__aiter__"):
                self.end(self._measured.answered(answer))
                return answer
            await self._read_stream(answer)
        except asyncio.CancelledError as failure:
            if is_cancelled_from_outside():
                raise
            self.end_raised(failure)
        except (Exception, SystemExit) as failure:
            self.end_raised(failure)
        return None

    async def _read_stream(self, stream: AsyncIterator[Any]) -> None:
        measured, chunks = self._measured, 0
        async for chunk in stream:
            measured.take_chunk(chunk)
            chunks += 1
            if measured.is_too_large:
                self.end(measured.failed(TOO_LARGE))
                break
            if chunks % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        else:
            self.end(measured.stream_ended())
            return
        await close_stream(stream)


class BackgroundCalls:
    """Starts calls while there is room; belongs to the event loop that uses it."""

    def __init__(self, limits: CallLimits, budget: Budget | None) -> None:
        self._limits = limits
        self._budget = budget
        self._running: set[BackgroundCall] = set()

    def start(
        self,
        call: AsyncCall,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        measured: ModelCall,
        on_end: OnEnd,
    ) -> BackgroundCall:
        """Start a call after the caller's own next wait. Ask `refusal` first."""
        running = BackgroundCall(measured, lambda record: self._charged(record, on_end))
        loop = asyncio.get_running_loop()
        running.task = loop.create_task(running.run(call, args, kwargs))
        running.timer = loop.call_later(self._limits.timeout_s, running.end_with, TIMEOUT)
        self._running.add(running)
        running.task.add_done_callback(lambda task: self._ended(running, task))
        return running

    def refusal(self, call: AsyncCall, calls: int = 1) -> str | None:
        """Return why so many calls cannot be made now: `concurrency`, `budget`, or None."""
        busy = len(self._running) + getattr(call, "abandoned", 0)
        if busy + calls > self._limits.max_in_flight:
            return CONCURRENCY
        if self._budget is not None and not self._budget.allows():
            return BUDGET
        return None

    @property
    def in_flight(self) -> int:
        """Calls whose tasks have not ended."""
        return len(self._running)

    async def wait(self, timeout_s: float) -> None:
        """Wait for the calls under way, then break off the others."""
        tasks = [one.task for one in self._running if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for one in list(self._running):
            one.end_with(MIRROR_DROPPED, SHUTDOWN)

    def _charged(self, record: SideRecord, on_end: OnEnd) -> None:
        if self._budget is not None and record.dropped_for is None:
            cost_usd = record.usage.cost_usd if record.usage is not None else None
            if cost_usd is not None or record.error in (None, TIMEOUT, TOO_LARGE, HUNG_UP):
                self._budget.charge(cost_usd, answered=record.error is None)
        on_end(record)

    def _ended(self, running: BackgroundCall, task: asyncio.Task[Any]) -> None:
        self._running.discard(running)
        if task.cancelled():  # by the end of the event loop, unless it is over already
            running.end_with(MIRROR_DROPPED, SHUTDOWN)


def is_cancelled_from_outside() -> bool:
    """Return whether the running task was cancelled; a client may raise the same by itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def close_stream(stream: Any) -> None:
    """Close a stream that will not be read to its end; what goes wrong then concerns nobody."""
    for name in ("aclose", "close"):
        close = getattr(stream, name, None)
        if close is not None:
            try:
                closing = close()
                if hasattr(closing, "__await__"):
                    await closing
            except Exception:
                return
            return
