"""The demo's gateway mirrors what its users ask, and stops when a decision rolls back."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import msgspec
import pytest
from confluent_kafka import Producer

from tests.streams.demo.decisions import PROMOTED, ROLLED_BACK, SUSPICIOUS
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.events import Event, InvalidEvent, Timing, decode_event
from understudy.streams.demo.gateway import MAX_UNREAD, Gateway
from understudy.streams.demo.simulator import ROLLOUT_ID, SimulatedRequest, simulate_requests
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.compacted_topic import TopicFollower
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
PAIRS = 900


class Bench:
    """A gateway on a broker of its own."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            client={"log_level": 0, "fetch.wait.max.ms": 20},
        )
        self.names = topics(self.kafka)
        ensure_topics(broker.client_config, self.names)

    def gateway(
        self, requests: Iterator[SimulatedRequest], max_unread: int = MAX_UNREAD
    ) -> Gateway:
        return Gateway(
            self.kafka, requests, pairs=PAIRS, start=START, run_s=1.0, max_unread=max_unread
        )

    def decide(self, decision: Decision) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        producer.produce(self.names.decisions.name, encode_decision(decision), ROLLOUT_ID)
        assert producer.flush(10.0) == 0

    def written(self) -> list[Event]:
        """The events that can be read."""
        found: list[Event] = []
        with TopicFollower(self.kafka, [self.names.events.name]) as follower:
            while taken := follower.take_values(wait_s=1.0):
                found += [event for _, value in taken if (event := readable(value)) is not None]
        return found


def readable(value: bytes) -> Event | None:
    try:
        return decode_event(value)
    except InvalidEvent:
        return None


@pytest.fixture
def bench(embedded_broker: EmbeddedBroker) -> Bench:
    return Bench(embedded_broker)


def traffic() -> list[SimulatedRequest]:
    return list(simulate_requests(seed=3, pairs=PAIRS, healthy=True, start=START))


def comparable(event: Event) -> Event:
    """Without what the Router decides or names by itself: who has a control, names of errors."""
    timing = event.timing or Timing()
    sides = tuple(side for side in event.sides if side != "control")
    error = event.error and msgspec.structs.replace(event.error, type="error")
    rounded = Timing(round(timing.duration_ms or 0.0), round(timing.time_to_first_token_ms or 0.0))
    return msgspec.structs.replace(event, sides=sides, error=error, timing=rounded)


def test_what_the_router_publishes_is_what_the_simulator_wrote(bench: Bench) -> None:
    requests = traffic()
    bench.decide(PROMOTED)
    gateway = bench.gateway(iter(requests))
    gateway.run(threading.Event(), lambda: gateway.sent)
    assert gateway.is_done
    assert gateway.rollback is None
    expected = [
        comparable(message.event)
        for request in requests
        for one in request.sides
        for message in one.messages
        if message.event is not None and one.event.side != "control"
    ]
    written = bench.written()
    pairs = [comparable(event) for event in written if event.side != "control"]
    place = lambda event: (event.pair_id, event.side)  # noqa: E731
    assert sorted(pairs, key=place) == sorted(expected, key=place)
    controls = sum(event.side == "control" for event in written)
    assert 0.02 < controls / PAIRS < 0.09


def test_without_a_decision_nothing_is_mirrored(bench: Bench) -> None:
    gateway = bench.gateway(iter(traffic()))
    gateway.run(threading.Event(), lambda: gateway.sent)
    assert gateway.is_done
    assert gateway.sent == 0


def test_after_a_rollback_only_requests_under_way_are_finished(bench: Bench) -> None:
    requests = traffic()
    bench.decide(SUSPICIOUS)

    def deciding_on_the_way() -> Iterator[SimulatedRequest]:
        for number, request in enumerate(requests):
            if number == PAIRS // 3:
                bench.decide(ROLLED_BACK)
            yield request

    gateway = bench.gateway(deciding_on_the_way())
    gateway.run(threading.Event(), lambda: gateway.sent)
    assert gateway.is_done
    assert gateway.rollback is not None
    assert gateway.rollback.after_s < 2.0
    until = gateway.rollback.event_time
    written = bench.written()
    times = {event.request_time for event in written}
    assert max(times) <= until
    asked = sum(START + dt.timedelta(seconds=r.offset_s) <= until for r in requests)
    assert PAIRS // 3 <= asked < PAIRS
    assert len({event.pair_id for event in written}) > 0.98 * asked


def test_it_does_not_run_ahead_of_the_reader(bench: Bench) -> None:
    stop = threading.Event()
    bench.decide(SUSPICIOUS)
    gateway = bench.gateway(iter(traffic()), max_unread=300)
    thread = threading.Thread(target=lambda: gateway.run(stop, lambda: 0), daemon=True)
    thread.start()
    thread.join(3.0)
    assert thread.is_alive()
    assert 300 < gateway.sent <= 310
    stop.set()
    thread.join(30.0)
    assert not thread.is_alive()
    assert not gateway.is_done
