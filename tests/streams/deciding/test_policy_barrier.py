"""The policy barrier: open when the records that existed at assignment have been read."""

from __future__ import annotations

import asyncio

import pytest

from tests.streams.deciding.fake_port import FakePort
from understudy.streams.deciding.policy_barrier import PolicyBarrier

DEADLINE_S = 10.0


@pytest.mark.parametrize(
    ("end", "committed", "applied", "is_open"),
    [
        (0, 0, None, True),
        (3, 3, None, True),
        (3, 0, 2, True),
        (3, 2, None, False),
        (3, 1, 1, False),
    ],
)
def test_it_opens_at_the_end_of_the_records(
    end: int, committed: int, applied: int | None, is_open: bool
) -> None:
    async def run() -> bool:
        barrier = PolicyBarrier(FakePort(end=end, committed=committed), lambda: False)
        if applied is not None:
            barrier.record_applied(0, applied)
        waiting = asyncio.ensure_future(barrier.wait(0))
        await asyncio.wait({waiting}, timeout=0.1)
        was_open = waiting.done()
        waiting.cancel()
        return was_open

    assert asyncio.run(run()) is is_open


def test_records_written_later_do_not_hold_windows_up() -> None:
    async def run() -> None:
        port = FakePort(end=1, committed=1)
        barrier = PolicyBarrier(port, lambda: False)
        assert await barrier.wait(0)
        port.end = 5
        assert await asyncio.wait_for(barrier.wait(0), DEADLINE_S)
        barrier.reset()
        waiting = asyncio.ensure_future(barrier.wait(0))
        await asyncio.wait({waiting}, timeout=0.1)
        assert not waiting.done()
        barrier.reset()
        assert not await asyncio.wait_for(waiting, DEADLINE_S)

    asyncio.run(run())


def test_while_kafka_is_away_windows_wait() -> None:
    async def run() -> None:
        port = FakePort(is_away=True)
        waiting = asyncio.ensure_future(PolicyBarrier(port, lambda: False).wait(0))
        await asyncio.wait({waiting}, timeout=0.1)
        assert not waiting.done()
        port.is_away = False
        assert await asyncio.wait_for(waiting, DEADLINE_S)

    asyncio.run(run())


def test_a_stop_ends_the_wait() -> None:
    async def run() -> None:
        assert not await asyncio.wait_for(
            PolicyBarrier(FakePort(end=1), lambda: True).wait(0), DEADLINE_S
        )

    asyncio.run(run())


def test_a_question_that_is_not_answered_outlives_no_reset() -> None:
    """A rebalance waits for whoever waits here, and Kafka may answer after the rebalance alone."""

    async def run() -> None:
        port = FakePort(end=1, committed=1, is_mute=True)
        barrier = PolicyBarrier(port, lambda: False)
        waiting = asyncio.ensure_future(barrier.wait(0))
        await asyncio.wait({waiting}, timeout=0.1)
        barrier.reset()
        assert not await asyncio.wait_for(waiting, DEADLINE_S)
        port.is_mute = False
        assert await asyncio.wait_for(barrier.wait(0), DEADLINE_S)

    asyncio.run(run())
