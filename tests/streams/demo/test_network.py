"""Events are lost, doubled, late and followed by noise exactly where the simulator says."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from tests.gateways.virtual_time import run
from understudy.schemas.events import Event
from understudy.streams.demo.network import SimulatedNetwork
from understudy.streams.demo.simulator import LATE_AFTER_S, SimulatedRequest, simulate_requests

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
REQUESTS = list(simulate_requests(seed=3, pairs=4_000, healthy=True, start=START))


class Arrived:
    """Stands for the Publisher and for the producer of bytes that mean nothing."""

    def __init__(self) -> None:
        self.events: list[tuple[float, Event]] = []
        self.raw: list[bytes] = []

    def publish(self, *events: Event) -> bool:
        now_s = asyncio.get_running_loop().time()
        self.events += [(now_s, event) for event in events]
        return True

    def send(self, topic: str, value: bytes, key: str) -> None:
        assert (topic, key[:9]) == ("events", "checkout-")
        self.raw.append(value)


def sent(requests: list[SimulatedRequest]) -> tuple[SimulatedNetwork, Arrived]:
    """Let all requests end ten seconds after they began."""
    arrived: Any = Arrived()
    network = SimulatedNetwork(arrived, arrived, "events")

    async def main() -> None:
        for request in requests:
            network.expect(request)
            loop = asyncio.get_running_loop()
            events = [one.event for one in request.sides]
            loop.call_at(request.offset_s + 10.0, network.publish, *events)
        await asyncio.sleep(requests[-1].offset_s + 11.0)
        await network.drained()
        await asyncio.sleep(0)

    run(main())
    return network, arrived


def test_what_arrives_is_what_the_simulator_wrote() -> None:
    network, arrived = sent(REQUESTS)
    messages = [message for r in REQUESTS for one in r.sides for message in one.messages]
    expected = [message.event for message in messages if message.event is not None]
    by_id = lambda event: (event.pair_id, event.side)  # noqa: E731
    assert sorted((event for _, event in arrived.events), key=by_id) == sorted(expected, key=by_id)
    damaged = [message.payload for message in messages if message.event is None]
    assert damaged
    assert sorted(arrived.raw) == sorted(damaged)
    assert network.sent == len(messages)


def test_late_ones_come_late() -> None:
    _, arrived = sent(REQUESTS)
    offsets = {one.event.pair_id: r.offset_s for r in REQUESTS for one in r.sides}
    after_s = [at_s - offsets[event.pair_id] for at_s, event in arrived.events]
    assert sum(one >= LATE_AFTER_S for one in after_s) > 1
    assert min(after_s) > 9.9


def test_a_side_that_the_simulator_did_not_foresee_arrives_once() -> None:
    arrived: Any = Arrived()
    network = SimulatedNetwork(arrived, arrived, "events")
    request = next(one for one in REQUESTS if len(one.sides) == 2)

    async def main() -> None:
        network.expect(request)
        network.publish(*(one.event for one in request.sides), request.again())
        await network.drained()

    run(main())
    assert [event.side for _, event in arrived.events].count("control") == 1


def test_requests_of_a_time_are_counted() -> None:
    network, arrived = sent(REQUESTS)
    since, until = START + dt.timedelta(seconds=5), START + dt.timedelta(seconds=9)
    times = [event.request_time for _, event in arrived.events if event.side == "candidate"]
    expected = sum(since <= time <= until for time in times)
    assert expected > 50
    assert network.requests_between(since, until) == expected
