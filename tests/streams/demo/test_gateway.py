"""The simulated gateway writes what it is given and stops when a decision rolls back."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from tests.streams.demo.decisions import PROMOTED, ROLLED_BACK
from understudy.schemas.decisions import Decision, encode_decision
from understudy.streams.demo.gateway import MAX_UNREAD, Gateway
from understudy.streams.demo.simulator import SimulatedMessage, simulate
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
        self, messages: Iterator[SimulatedMessage], max_unread: int = MAX_UNREAD
    ) -> Gateway:
        return Gateway(
            self.kafka, messages, pairs=PAIRS, start=START, run_s=1.0, max_unread=max_unread
        )

    def decide(self, decision: Decision) -> None:
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        producer.produce(self.names.decisions.name, encode_decision(decision), b"r")
        assert producer.flush(10.0) == 0

    def written(self) -> set[bytes]:
        with TopicFollower(self.kafka, [self.names.events.name]) as follower:
            found: set[bytes] = set()
            while taken := follower.take_values(wait_s=1.0):
                found |= {value for _, value in taken}
        return found


@pytest.fixture
def bench(embedded_broker: EmbeddedBroker) -> Bench:
    return Bench(embedded_broker)


def traffic() -> list[SimulatedMessage]:
    return list(simulate(seed=3, pairs=PAIRS, healthy=True, start=START))


def test_everything_is_written_when_nothing_is_rolled_back(bench: Bench) -> None:
    messages = traffic()
    gateway = bench.gateway(iter(messages))
    bench.decide(PROMOTED)
    gateway.run(threading.Event(), lambda: gateway.sent)
    assert gateway.is_done
    assert gateway.rollback is None
    assert gateway.sent == len(messages)
    assert bench.written() == {message.payload for message in messages}


def test_after_a_rollback_only_requests_under_way_are_finished(bench: Bench) -> None:
    messages = traffic()
    decided = threading.Event()

    def deciding_on_the_way() -> Iterator[SimulatedMessage]:
        for number, message in enumerate(messages):
            if number == len(messages) // 3:
                bench.decide(ROLLED_BACK)
                decided.set()
            yield message

    gateway = bench.gateway(deciding_on_the_way())
    gateway.run(threading.Event(), lambda: gateway.sent)
    assert decided.is_set()
    assert gateway.is_done
    assert gateway.rollback is not None
    assert gateway.rollback.after_s < 2.0
    until = gateway.rollback.event_time
    assert len(messages) // 3 <= gateway.sent < len(messages)
    requests = [m for m in messages if m.event is not None and m.event.request_time <= until]
    under_way = {m.payload for m in requests if m.arrival_offset_s <= (until - START).seconds + 25}
    written = bench.written()
    assert under_way <= written
    late = {m.payload for m in messages if m.event and m.event.request_time > until}
    assert late
    assert not late & written


def test_it_does_not_run_ahead_of_the_reader(bench: Bench) -> None:
    stop = threading.Event()
    gateway = bench.gateway(iter(traffic()), max_unread=300)
    thread = threading.Thread(target=lambda: gateway.run(stop, lambda: 0), daemon=True)
    thread.start()
    thread.join(2.0)
    assert thread.is_alive()
    assert gateway.sent == 301
    stop.set()
    thread.join(5.0)
    assert not thread.is_alive()
    assert not gateway.is_done


def test_requests_of_a_time_are_counted(bench: Bench) -> None:
    gateway = bench.gateway(iter(traffic()))
    gateway.run(threading.Event(), lambda: gateway.sent)
    times = [
        message.event.request_time
        for message in traffic()
        if message.event is not None and message.event.side == "candidate"
    ]
    since, until = START + dt.timedelta(seconds=5), START + dt.timedelta(seconds=9)
    expected = sum(since <= time <= until for time in times)
    assert expected > 50
    assert gateway.requests_between(since, until) == expected
