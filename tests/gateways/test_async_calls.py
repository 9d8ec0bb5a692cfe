"""Any callable as a function to await; plain functions run in threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from understudy.gateways.async_calls import ThreadedCall, as_async


async def coroutine(prompt: str, *, loud: bool = False) -> str:
    return f"{prompt}{'!' * loud}"


async def generator(prompt: str) -> AsyncIterator[str]:
    yield prompt


class Client:
    async def ask(self, prompt: str) -> str:
        return prompt

    async def __call__(self, prompt: str) -> str:
        return prompt

    @functools.wraps(ask)
    def wrapped(self, prompt: str) -> Any:
        return self.ask(prompt)


@pytest.mark.parametrize(
    "call",
    [coroutine, functools.partial(coroutine, loud=True), Client().ask, Client()],
    ids=["function", "partial", "method", "object"],
)
def test_what_is_async_stays_as_it_is(call: Callable[..., Any]) -> None:
    assert as_async(call) is call


@functools.wraps(coroutine)
def blocking_wrapper(prompt: str) -> str:
    """As `async_to_sync` makes one: it refuses to run where an event loop does."""
    return asyncio.run(coroutine(prompt))


@pytest.mark.parametrize(
    "call",
    [Client().wrapped, blocking_wrapper, functools.partial(blocking_wrapper)],
    ids=["returns an awaitable", "blocks", "blocks, partial"],
)
def test_a_plain_wrapper_of_an_async_function_may_do_either(call: Callable[..., Any]) -> None:
    async def main() -> list[Any]:
        asked = as_async(call)
        return [await asked("hi") for _ in range(3)]

    assert asyncio.run(main()) == ["hi"] * 3


def test_a_wrapper_that_returns_awaitables_needs_no_thread_once_that_is_known() -> None:
    threads: list[threading.Thread] = []

    @functools.wraps(coroutine)
    def wrapper(prompt: str) -> Any:
        threads.append(threading.current_thread())
        return coroutine(prompt)

    async def main() -> None:
        asked = as_async(wrapper)
        for _ in range(3):
            assert await asked("hi") == "hi"

    asyncio.run(main())
    assert [one is threading.main_thread() for one in threads] == [False, True, True]


def test_an_async_generator_is_opened() -> None:
    async def main() -> list[str]:
        return [chunk async for chunk in await as_async(generator)("hi")]

    assert asyncio.run(main()) == ["hi"]


def test_a_plain_function_runs_in_a_thread_and_leaves_the_loop_free() -> None:
    release = threading.Event()

    def blocking(prompt: str) -> str:
        assert release.wait(60.0)
        return f"{prompt} in {threading.current_thread() is threading.main_thread()}"

    async def main() -> Any:
        asked = asyncio.ensure_future(_awaited(as_async(blocking), "hi"))
        await asyncio.sleep(0)
        release.set()
        return await asked

    assert asyncio.run(main()) == "hi in False"


async def _awaited(call: Callable[..., Any], *args: Any) -> Any:
    return await call(*args)


def test_a_plain_function_that_returns_an_awaitable_is_awaited() -> None:
    assert asyncio.run(_awaited(as_async(lambda prompt: coroutine(prompt)), "hi")) == "hi"


@pytest.mark.parametrize("failure", [ValueError("no"), StopIteration(), SystemExit(2)])
def test_what_a_plain_function_raises_is_raised_as_an_exception(failure: BaseException) -> None:
    def raising() -> None:
        raise failure

    kind = ValueError if isinstance(failure, ValueError) else RuntimeError
    with pytest.raises(kind):
        asyncio.run(_awaited(as_async(raising)))


def test_threads_that_nobody_waits_for_are_counted_until_they_end() -> None:
    release = threading.Event()
    call = ThreadedCall(lambda: release.wait(60.0))

    async def main() -> None:
        asked = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        assert call.abandoned == 1
        release.set()
        while call.abandoned:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 60.0))


def test_a_call_whose_answer_came_as_it_was_cancelled_is_not_counted_for_ever() -> None:
    call = ThreadedCall(lambda: "answer")

    async def main() -> None:
        asked = asyncio.ensure_future(call())
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        end = call._end
        call._end = lambda *given: (end(*given), asked.cancel(), answered.set_result(None))  # type: ignore[method-assign,assignment,func-returns-value]
        await answered
        await asyncio.wait({asked})
        assert asked.cancelled()

    asyncio.run(main())
    assert call.abandoned == 0
