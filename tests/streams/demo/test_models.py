"""The demo's models answer what the simulator says, when it says."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from tests.gateways.virtual_time import run
from understudy.gateways.call_errors import error_of
from understudy.schemas.events import Event
from understudy.streams.demo.models import Models, SimulatedCalls, UpstreamError
from understudy.streams.demo.simulator import SimulatedRequest, simulate_requests

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
REQUESTS = list(simulate_requests(seed=3, pairs=1_500, healthy=False, start=START))


def event_of(request: SimulatedRequest, side: str) -> Event:
    return next(one.event for one in request.sides if one.event.side == side)


async def asked(call: Any, request: SimulatedRequest) -> tuple[list[tuple[float, Any]], Any]:
    """Chunks or the answer with their times, and what was raised."""
    time = asyncio.get_running_loop().time
    try:
        answer = await call(request)
        if isinstance(answer, Event):
            return [(time(), answer)], None
        return [(time(), chunk) async for chunk in answer], None
    except UpstreamError as failure:
        return [(time(), None)], failure


def test_every_answer_comes_at_its_time() -> None:
    kinds = set()
    for request in REQUESTS:
        event = event_of(request, "candidate")
        found, failure = run(asked(Models().candidate, request))
        timing = event.timing
        assert timing is not None
        assert timing.duration_ms is not None
        assert found[-1][0] == pytest.approx(timing.duration_ms / 1000.0)
        if event.error is not None:
            assert error_of(failure).status == event.error.status
            kinds.add(error_of(failure).type)
        elif timing.time_to_first_token_ms is not None:
            assert found[0][0] == pytest.approx(timing.time_to_first_token_ms / 1000.0)
            reader = SimulatedCalls().stream_reader()
            assert all(reader.add(chunk) for _, chunk in found)
            assert reader.facts().response == event.response
        else:
            assert SimulatedCalls().read_answer(found[0][1]).response == event.response
    assert kinds == {"rate_limit", "server", "timeout"}


def test_stable_asked_a_second_time_is_another_run_of_it() -> None:
    async def both(request: SimulatedRequest) -> tuple[Any, Any]:
        models = Models()
        return await asked(models.stable, request), await asked(models.stable, request)

    differing = 0
    for request in REQUESTS[:100]:
        (first, _), (second, _) = run(both(request))
        differing += first[-1][1] != second[-1][1]
    assert differing > 90
