"""The demo's gateway: a real Router between simulated users and simulated models.

It follows the decisions of the worker in this process, and what it publishes passes a network with
a few faults. Users ask in simulated time, which runs faster than the wall clock. In shadow mode
there is no traffic to take away from the candidate: on a rollback nothing more is mirrored to it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from understudy.gateways.allocation import Allocation
from understudy.gateways.background_calls import CallLimits
from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.gateways.publisher import Publisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.route_plan import Sampling
from understudy.gateways.router import Router
from understudy.streams.demo.models import Models, SimulatedCalls, UpstreamError
from understudy.streams.demo.network import SimulatedNetwork
from understudy.streams.demo.simulated_clock import SimulatedClockLoop
from understudy.streams.demo.simulator import (
    CONTROL_SHARE,
    DEFAULT_RATE_PER_S,
    REQUEST_TIMEOUT_MS,
    ROLLOUT_ID,
    SimulatedRequest,
)
from understudy.streams.kafka.client_config import producer_config, reader_config, topics
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.settings import KafkaSettings

RUN_S: Final = 30.0
"""Wall time that the simulated traffic is spread over, as far as the speeds allow."""
MIN_SPEED: Final = 20.0
"""Of the simulated clock: fewer pairs end sooner instead of trickling in."""
MAX_SPEED: Final = 75.0
"""Of the simulated clock: 2 500 pairs a second, which two idle cores can follow."""
MAX_UNREAD: Final = 3_000
"""Messages that may wait in the mock broker, which drops the oldest beyond a few MB."""
DECIDED_TIMEOUT_S: Final = 30.0
"""For the first decision to reach the gateway, which takes milliseconds once it is written."""
FLUSH_TIMEOUT_S: Final = 10.0
"""The broker is in this process, so only a hang takes so long."""
TICK_S: Final = 0.01
"""Of the wall clock, between two looks at whether simulated time may go on."""
_TIMEOUT_S: Final = REQUEST_TIMEOUT_MS / 1000.0
_LIMITS: Final = CallLimits(max_in_flight=5_000, timeout_s=2 * _TIMEOUT_S)
"""More than are ever under way, and longer than the models' own timeout: nothing is dropped."""


@dataclass(frozen=True, slots=True)
class AppliedRollback:
    """A rollback that the gateway has applied."""

    event_time: dt.datetime
    """Later requests were not mirrored."""
    after_s: float
    """Wall time since the decision was written to its topic."""


class Gateway:
    """Serves users until there are no more, or a decision rolls back."""

    def __init__(
        self, kafka: KafkaSettings, requests: Iterator[SimulatedRequest], *,
        pairs: int, start: dt.datetime, run_s: float = RUN_S, max_unread: int = MAX_UNREAD,
    ) -> None:  # fmt: skip
        self._kafka = kafka
        self._requests = requests
        self._start = start
        self._max_unread = max_unread
        span_s = pairs / DEFAULT_RATE_PER_S
        self._speed = min(max(span_s / run_s, MIN_SPEED), MAX_SPEED)
        self._longest_s = span_s + _TIMEOUT_S
        self._network: SimulatedNetwork | None = None
        self.is_done = False
        self.event_time: dt.datetime | None = None
        self.rollback: AppliedRollback | None = None

    @property
    def sent(self) -> int:
        """Messages on their way to Kafka."""
        return self._network.sent if self._network is not None else 0

    def run(self, stop: threading.Event, read: Callable[[], int]) -> None:
        """Serve until done or stopped; `read` returns how many messages have been read."""
        config = {**producer_config(self._kafka), "compression.type": "zstd"}
        raw, prefix = BufferedProducer(config), self._kafka.topic_prefix
        pace = self._pace(stop, read, time.monotonic())
        with (
            closing(Publisher(config, topic_prefix=prefix)) as publisher,
            closing(KafkaDecisions(reader_config(self._kafka), topic_prefix=prefix)) as decisions,
            asyncio.Runner(loop_factory=lambda: SimulatedClockLoop(pace)) as runner,
        ):
            decisions.wait_until_read(DECIDED_TIMEOUT_S)
            self._network = SimulatedNetwork(publisher, raw, topics(self._kafka).events.name)
            router = _router(decisions, self._network)
            runner.run(self._serve(router, self._network, stop))
            publisher.flush(FLUSH_TIMEOUT_S)
        raw.flush(FLUSH_TIMEOUT_S)
        self.is_done = not stop.is_set()

    def requests_between(self, since: dt.datetime, until: dt.datetime) -> int:
        """How many requests of that time were mirrored."""
        return self._network.requests_between(since, until) if self._network is not None else 0

    async def _serve(
        self, router: Router[..., Any], network: SimulatedNetwork, stop: threading.Event
    ) -> None:
        """Let each user ask at the time of the request, then wait for what is under way."""
        loop = asyncio.get_running_loop()
        asked: set[asyncio.Task[None]] = set()
        for request in self._requests:
            await asyncio.sleep(max(0.0, request.offset_s - loop.time()))
            self._note_rollback(router.allocation())
            if stop.is_set() or self.rollback is not None:
                break
            self.event_time = self._start + dt.timedelta(seconds=request.offset_s)
            task = loop.create_task(_ask(router, network, request))
            asked.add(task)
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)
        await router.aclose(_LIMITS.timeout_s)
        if self.rollback is None:
            await network.drained()

    def _note_rollback(self, allocation: Allocation | None) -> None:
        """Note the first decision that rolls back; the Router follows it by itself."""
        if allocation is None or allocation.verdict != "rollback" or self.event_time is None:
            return
        self.rollback = AppliedRollback(self.event_time, allocation.age_s(dt.datetime.now(dt.UTC)))

    def _pace(
        self, stop: threading.Event, read: Callable[[], int], started_s: float
    ) -> Callable[[float], None]:
        """What keeps simulated time behind the wall clock and the reader, until stopped.

        Late messages are not waited for when all else is over.
        """

        known_read = 0

        def is_ahead() -> bool:
            nonlocal known_read
            if self.sent - known_read > self._max_unread:
                known_read = read()
            return self.sent - known_read > self._max_unread

        def pace(until_s: float) -> None:
            due_s = started_s + min(until_s, self._longest_s) / self._speed
            while due_s > time.monotonic() or is_ahead():
                if stop.wait(TICK_S):
                    return

        return pace


def _router(decisions: KafkaDecisions, network: SimulatedNetwork) -> Router[..., Any]:
    models = Models()
    return Router(
        ROLLOUT_ID,
        stable=models.stable,
        candidate=models.candidate,
        decisions=decisions,
        publisher=network,
        reader=SimulatedCalls(),
        limits=_LIMITS,
        sampling=Sampling(control_share=CONTROL_SHARE),
    )


async def _ask(
    router: Router[..., Any], network: SimulatedNetwork, request: SimulatedRequest
) -> None:
    """Ask as a user does, and read the answer to its end, or the error."""
    event = request.sides[0].event
    network.expect(request)
    context = RequestContext(
        pair_id=event.pair_id,
        request_time=event.request_time,
        conversation_id=event.conversation_id,
        turn=event.turn,
        language=event.language,
        workflow=event.workflow,
    )
    try:
        answer = await router.call(context, request)
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass
    except UpstreamError:
        return
