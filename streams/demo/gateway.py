"""The simulated gateway: mirrors requests as its clock says, and applies decisions.

In shadow mode there is no traffic to take away from the candidate. What a gateway does on a
rollback is to mirror nothing more to it.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Message

from understudy.schemas.decisions import decode_decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.demo.simulator import (
    DEFAULT_RATE_PER_S,
    REQUEST_TIMEOUT_MS,
    SimulatedMessage,
)
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.compacted_topic import TopicFollower
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
CHECK_DECISIONS_EVERY_S: Final = 0.05
"""Soon enough to stop within a second, seldom enough to cost nothing."""
FLUSH_TIMEOUT_S: Final = 10.0
"""The broker is in this process, so only a hang takes so long."""
_TIMEOUT: Final = dt.timedelta(milliseconds=REQUEST_TIMEOUT_MS)


@dataclass(frozen=True, slots=True)
class AppliedRollback:
    """A rollback that the gateway has applied."""

    event_time: dt.datetime
    """Later requests were not mirrored."""
    after_s: float
    """Wall time since the decision was written to its topic."""


class Gateway:
    """Writes messages to the events topic until there are no more, or a decision rolls back."""

    def __init__(
        self, kafka: KafkaSettings, messages: Iterator[SimulatedMessage], *,
        pairs: int, start: dt.datetime, run_s: float = RUN_S, max_unread: int = MAX_UNREAD,
    ) -> None:  # fmt: skip
        self._kafka = kafka
        self._messages = messages
        self._start = start
        self._max_unread = max_unread
        span_s = pairs / DEFAULT_RATE_PER_S
        self._speed = min(max(span_s / run_s, MIN_SPEED), MAX_SPEED)
        self._longest_s = span_s + _TIMEOUT.total_seconds()
        self._request_times_s = array("d")
        self._checked_at_s = 0.0
        self.sent = 0
        self.is_done = False
        self.event_time: dt.datetime | None = None
        self.rollback: AppliedRollback | None = None

    def run(self, stop: threading.Event, read: Callable[[], int]) -> None:
        """Write until done or stopped; `read` returns how many messages have been read."""
        config = {**producer_config(self._kafka), "compression.type": "zstd"}
        producer = BufferedProducer(config)
        names = topics(self._kafka)
        started = time.monotonic()
        with TopicFollower(self._kafka, [names.decisions.name]) as decisions:
            for message in self._messages:
                while self._is_early(message, started) or self.sent - read() > self._max_unread:
                    if stop.wait(0.01):
                        return
                self._check_decisions(decisions)
                if self._is_over(message):
                    break
                if self._is_mirrored(message):
                    self._write(producer, names.events.name, message)
        producer.flush(FLUSH_TIMEOUT_S)
        self.is_done = True

    def requests_between(self, since: dt.datetime, until: dt.datetime) -> int:
        """How many requests of that time were mirrored."""
        times = sorted(self._request_times_s)
        return bisect_right(times, until.timestamp()) - bisect_left(times, since.timestamp())

    def _is_early(self, message: SimulatedMessage, started: float) -> bool:
        """Whether its time has not come; late messages are not waited for when all else is over."""
        due_s = min(message.arrival_offset_s, self._longest_s)
        return due_s > (time.monotonic() - started) * self._speed

    def _at(self, message: SimulatedMessage) -> dt.datetime:
        return self._start + dt.timedelta(seconds=message.arrival_offset_s)

    def _write(self, producer: BufferedProducer, topic: str, message: SimulatedMessage) -> None:
        at = self._at(message)
        timestamp_ms = to_epoch_ms(at)
        producer.send(topic, message.payload, message.key, timestamp_ms=timestamp_ms)
        if message.event is not None and message.event.side == "candidate":
            self._request_times_s.append(message.event.request_time.timestamp())
        self.sent += 1
        self.event_time = at

    def _check_decisions(self, decisions: TopicFollower) -> None:
        """Read decisions now and then; apply the first that rolls back."""
        now_s = time.monotonic()
        if self.rollback is not None or now_s - self._checked_at_s < CHECK_DECISIONS_EVERY_S:
            return
        self._checked_at_s = now_s
        for message, value in decisions.take_values(wait_s=0.0):
            if decode_decision(value).verdict == "rollback" and self.event_time is not None:
                self.rollback = AppliedRollback(self.event_time, _age_s(message))
                return

    def _is_mirrored(self, message: SimulatedMessage) -> bool:
        """The rest of a request under way is still written."""
        if self.rollback is None:
            return True
        return message.event is not None and message.event.request_time <= self.rollback.event_time

    def _is_over(self, message: SimulatedMessage) -> bool:
        """Whether everything under way at the rollback has come back or timed out."""
        if self.rollback is None:
            return False
        return self._at(message) > self.rollback.event_time + _TIMEOUT


def _age_s(message: Message) -> float:
    _, written_ms = message.timestamp()
    return max(0.0, time.time() - written_ms / 1000)
