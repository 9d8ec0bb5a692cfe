"""What becomes of events between the demo's gateway and Kafka, as the simulator says.

Most arrive. A few are lost, written twice, written too late or followed by bytes that mean nothing,
which no Publisher does by itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from array import array

from understudy.gateways.publisher import Publisher
from understudy.schemas.events import Event
from understudy.streams.demo.simulator import (
    LATE_AFTER_S,
    SimulatedMessage,
    SimulatedRequest,
)
from understudy.streams.kafka.producer import BufferedProducer


class SimulatedNetwork:
    """Takes events as a Publisher does; belongs to the gateway's event loop."""

    def __init__(self, publisher: Publisher, raw: BufferedProducer, events_topic: str) -> None:
        self._publisher = publisher
        self._raw = raw
        self._topic = events_topic
        self._requests: dict[str, SimulatedRequest] = {}
        self._last_due_s = 0.0
        self.sent = 0
        """Messages on their way to Kafka."""
        self.candidate_times_s = array("d")
        """Request times of the candidate's events, in seconds since 1970."""

    def expect(self, request: SimulatedRequest) -> None:
        """Learn what is to become of a request's events."""
        self._requests[request.sides[0].event.pair_id] = request

    def publish(self, *events: Event) -> bool:
        """Let the events of a request arrive, now or later."""
        request = self._requests.pop(events[0].pair_id)
        self._send(*(event for event in events if _arrives_now(event, request)))
        for event in events:
            first, *further = _messages(event, request) or (None,)
            if first is not None and _is_late(first, request):
                self._deliver_later(event, first)
            for message in further:
                self._deliver_later(event, message)
        return True

    async def drained(self) -> None:
        """Wait until everything has arrived that arrives late."""
        await asyncio.sleep(max(0.0, self._last_due_s - _now_s()))

    def requests_between(self, since: dt.datetime, until: dt.datetime) -> int:
        """How many requests of that time the candidate answered."""
        first, last = since.timestamp(), until.timestamp()
        return sum(first <= time_s <= last for time_s in self.candidate_times_s)

    def _send(self, *events: Event) -> None:
        if events and self._publisher.publish(*events):
            self.sent += len(events)
            self.candidate_times_s.extend(
                event.request_time.timestamp() for event in events if event.side == "candidate"
            )

    def _deliver_later(self, event: Event, message: SimulatedMessage) -> None:
        """Schedule what arrives apart from the request's other events."""
        due_s = max(_now_s(), message.arrival_offset_s)
        self._last_due_s = max(self._last_due_s, due_s)
        loop = asyncio.get_running_loop()
        if message.event is not None:
            loop.call_at(due_s, self._send, event)
        else:
            loop.call_at(due_s, self._send_raw, message)

    def _send_raw(self, message: SimulatedMessage) -> None:
        self._raw.send(self._topic, message.payload, message.key)
        self.sent += 1


def _arrives_now(event: Event, request: SimulatedRequest) -> bool:
    messages = _messages(event, request)
    return bool(messages) and not _is_late(messages[0], request)


def _messages(event: Event, request: SimulatedRequest) -> tuple[SimulatedMessage, ...]:
    """What becomes of an event; one of a side that the simulator did not foresee arrives."""
    for one in request.sides:
        if one.event.side == event.side:
            return one.messages
    return (SimulatedMessage("", b"", request.offset_s, event),)


def _is_late(message: SimulatedMessage, request: SimulatedRequest) -> bool:
    return message.arrival_offset_s >= request.offset_s + LATE_AFTER_S


def _now_s() -> float:
    return asyncio.get_running_loop().time()
