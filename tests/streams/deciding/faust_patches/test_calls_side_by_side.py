"""A call to the consumer's thread is answered while others wait."""

from __future__ import annotations

import asyncio

from mode.threads import QueueServiceThread

from understudy.streams.deciding.faust_patches.calls_side_by_side import CallsSideBySide

DEADLINE_S = 10.0


class Thread(QueueServiceThread):
    """A thread without a consumer, with the patch."""

    method_queue = CallsSideBySide.method_queue


def test_calls_that_wait_for_an_assignment_hold_up_no_commit() -> None:
    async def run() -> str:
        thread = Thread()
        assigned = asyncio.Event()

        async def fetch_or_seek() -> None:
            await assigned.wait()

        async def commit() -> str:
            return "committed"

        async with thread:
            waiting = [asyncio.ensure_future(thread.call_thread(fetch_or_seek)) for _ in range(6)]
            done = await asyncio.wait_for(thread.call_thread(commit), DEADLINE_S)
            assert not any(one.done() for one in waiting)
            thread.thread_loop.call_soon_threadsafe(assigned.set)
            await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_S)
        return done

    assert asyncio.run(run()) == "committed"
