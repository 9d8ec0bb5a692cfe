"""Simulated time jumps to the next timer, as soon as it may."""

from __future__ import annotations

import asyncio
import threading

from understudy.streams.demo.simulated_clock import SimulatedClockLoop


def test_time_passes_only_by_waiting() -> None:
    async def main() -> list[tuple[str, float]]:
        time, found = asyncio.get_running_loop().time, []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            found.append((name, time()))

        assert time() == 0.0
        await asyncio.gather(wait("a day", 86_400.0), wait("an hour", 3_600.0), wait("none", 0.0))
        return found

    with asyncio.Runner(loop_factory=SimulatedClockLoop) as runner:
        assert runner.run(main()) == [("none", 0.0), ("an hour", 3_600.0), ("a day", 86_400.0)]


def test_the_pace_is_asked_before_each_jump() -> None:
    jumps: list[float] = []

    async def main() -> None:
        for seconds in (1.0, 0.0, 2.5):
            await asyncio.sleep(seconds)

    with asyncio.Runner(loop_factory=lambda: SimulatedClockLoop(jumps.append)) as runner:
        runner.run(main())
    assert jumps == [1.0, 3.5]


def test_what_other_threads_call_is_not_overlooked() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        threading.Thread(
            target=lambda: loop.call_soon_threadsafe(future.set_result, "from a thread")
        ).start()
        return await future

    with asyncio.Runner(loop_factory=SimulatedClockLoop) as runner:
        assert runner.run(main()) == "from a thread"
