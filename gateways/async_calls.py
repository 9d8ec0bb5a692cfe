"""Makes whatever a user gives as a model's client one thing: a function to await.

An async function stays as it is, an async generator is opened, and a plain function runs in a
thread, since it might block the event loop and every other request with it. A plain wrapper of an
async function may do so too, or return what that returns: it runs in a thread until it has returned
an awaitable.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

AsyncCall = Callable[..., Awaitable[Any]]


def as_async(call: Callable[..., Any]) -> AsyncCall:
    """Return a function that starts `call` and returns an awaitable of its answer."""
    inner = call
    while isinstance(inner, functools.partial):
        inner = inner.func
    if _is(inspect.iscoroutinefunction, inner):
        return call
    if _is(inspect.isasyncgenfunction, inner):
        return _opening(call)
    if _is(inspect.iscoroutinefunction, inspect.unwrap(inner)):
        return WrapperCall(call)
    return ThreadedCall(call)


def _is(kind: Callable[[Any], bool], call: Any) -> bool:
    return kind(call) or kind(type(call).__call__)


def _opening(call: Callable[..., Any]) -> AsyncCall:
    async def opened(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return opened


class ThreadedCall:
    """Calls a function in a daemon thread of its own, which never keeps the process from ending."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.abandoned = 0
        """Threads that still run although nobody waits for them any more."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Await the function's answer; an answer that is an awaitable is awaited here."""
        answer = await self._threaded(args, kwargs)
        return await answer if inspect.isawaitable(answer) else answer

    async def _threaded(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what the function returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        work = functools.partial(contextvars.copy_context().run, self._call, *args, **kwargs)
        threading.Thread(target=self._run, args=(work, loop, future), daemon=True).start()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():  # else the answer had come just before
                self.abandoned += 1
            raise

    def _run(
        self,
        work: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        try:
            answer, failure = work(), None
        except BaseException as error:
            answer, failure = None, error
        try:
            loop.call_soon_threadsafe(self._end, future, answer, failure)
        except RuntimeError:  # the loop has been closed, so nobody waits
            return

    def _end(self, future: asyncio.Future[Any], answer: Any, failure: BaseException | None) -> None:
        if future.cancelled():
            self.abandoned -= 1
        elif failure is None:
            future.set_result(answer)
        else:
            future.set_exception(_raisable(failure))


class WrapperCall(ThreadedCall):
    """Calls a plain function that wraps an async one: as itself, once it returned an awaitable."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__(call)
        self._returns_awaitables = False

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Await the wrapped function's answer, or what the wrapper made of it."""
        if self._returns_awaitables:
            answer = self._call(*args, **kwargs)
        else:
            answer = await self._threaded(args, kwargs)
        self._returns_awaitables = inspect.isawaitable(answer)
        return await answer if self._returns_awaitables else answer


def _raisable(failure: BaseException) -> BaseException:
    """A future cannot hold StopIteration, and what ends a thread must not end the event loop."""
    if isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        return failure
    return RuntimeError(f"the call ended with {failure!r}")
