"""Decisions of all rollouts, as each process of a gateway reads them from Kafka."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from tests.brokers.bomb import bomb
from tests.brokers.contract import Broker
from tests.gateways.decisions import decision_bytes
from tests.waiting import wait_until
from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.schemas.events import EARLIEST_TIME
from understudy.schemas.topics import Topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded

TOPIC = "understudy.decisions"
DEADLINE_S = 60.0


def write(broker: EmbeddedBroker, *values: bytes | None, key: str = "checkout") -> None:
    producer = Producer(broker.client_config)
    for value in values:
        producer.produce(TOPIC, value, key)
    assert producer.flush(DEADLINE_S) == 0


@contextmanager
def following(broker: EmbeddedBroker) -> Iterator[KafkaDecisions]:
    """The mock broker holds a fetch for its whole wait, whatever comes meanwhile."""
    made = KafkaDecisions({**broker.client_config, "fetch.wait.max.ms": 20})
    try:
        assert made.wait_until_read(DEADLINE_S)
        yield made
    finally:
        made.close()


def test_newest_decision_counts_however_many_there_were(embedded_broker: EmbeddedBroker) -> None:
    before_s = time.time() - 1
    write(embedded_broker, decision_bytes(), decision_bytes(verdict="rollback"),
          decision_bytes(candidate_share=0.25))  # fmt: skip
    write(embedded_broker, decision_bytes(rollout_id="search"), None, key="search")
    with following(embedded_broker) as decisions:
        found = decisions.allocation("checkout")
        assert found is not None
        assert (found.candidate_share, found.verdict) == (0.25, "hold")
        assert before_s < found.written_at.timestamp() < time.time() + 1
        assert decisions.allocation("search") is None
        assert decisions.allocation("unknown") is None


def test_later_decisions_are_followed_and_deletions(embedded_broker: EmbeddedBroker) -> None:
    write(embedded_broker, None)
    with following(embedded_broker) as decisions:
        assert decisions.allocation("checkout") is None
        write(embedded_broker, decision_bytes())
        wait_until(lambda: decisions.allocation("checkout"), "the first decision")
        write(embedded_broker, decision_bytes(verdict="rollback", candidate_share=0.0))
        wait_until(
            lambda: (a := decisions.allocation("checkout")) and a.verdict == "rollback",
            "the rollback",
        )
        write(embedded_broker, None)
        wait_until(lambda: decisions.allocation("checkout") is None, "the deletion")


def test_decision_that_cannot_be_read_is_taken_as_old(
    embedded_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    write(embedded_broker, b"{}", key="search")
    write(embedded_broker, decision_bytes(), b'{"schema_version": 9}')
    with following(embedded_broker) as decisions:
        found = decisions.allocation("checkout")
        assert found is not None
        assert found.written_at == EARLIEST_TIME
        assert decisions.allocation("search") is None
        assert "The newest decision about checkout cannot be read" in caplog.text
        write(embedded_broker, decision_bytes())
        wait_until(
            lambda: (a := decisions.allocation("checkout")) and a.written_at > EARLIEST_TIME,
            "a decision that can be read",
        )


@pytest.mark.parametrize(
    "poison",
    [
        b'{"rollout_id":' + b"[" * 100_000,
        b"\xff\xfe",
        decision_bytes().replace(b'"decided_at":"2026', b'"decided_at":"0000'),
        b"null",
    ],
    ids=["deep", "no text", "no time", "null"],
)
def test_no_record_keeps_those_after_it_from_being_read(
    embedded_broker: EmbeddedBroker, poison: bytes
) -> None:
    write(embedded_broker, poison, key="poison")
    with following(embedded_broker) as decisions:
        write(embedded_broker, decision_bytes(), poison, key="search")
        write(embedded_broker, decision_bytes())
        wait_until(lambda: decisions.allocation("checkout"), "the decision behind it")
        distrusted = decisions.allocation("search")
        assert distrusted is not None
        assert distrusted.written_at == EARLIEST_TIME


def test_a_time_that_no_clock_shows_is_no_end_of_reading(embedded_broker: EmbeddedBroker) -> None:
    producer = Producer(embedded_broker.client_config)
    producer.produce(TOPIC, decision_bytes(), "search", timestamp=2**62)
    assert producer.flush(DEADLINE_S) == 0
    write(embedded_broker, decision_bytes())
    with following(embedded_broker) as decisions:
        wait_until(lambda: decisions.allocation("checkout"), "the decision behind it")
        assert decisions.allocation("search") is None


@pytest.mark.integration
def test_a_batch_that_cannot_be_unpacked_is_stepped_over_and_may_have_held_a_rollback(
    kafka_broker: Broker, topics: Callable[..., Topics]
) -> None:
    names = topics(rollout_partitions=1)
    servers = kafka_broker.bootstrap_servers
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(names.decisions.name, decision_bytes(), "checkout")
    assert producer.flush(DEADLINE_S) == 0
    bomb(servers, names.decisions.name, key=b"bomb")
    prefix = names.decisions.name.removesuffix("decisions")
    decisions = KafkaDecisions({"bootstrap.servers": servers}, topic_prefix=prefix)
    try:
        assert decisions.wait_until_read(DEADLINE_S)
        found = decisions.allocation("checkout")
        assert found is not None
        assert found.written_at == EARLIEST_TIME
        producer.produce(names.decisions.name, decision_bytes(), "checkout")
        assert producer.flush(DEADLINE_S) == 0
        wait_until(
            lambda: (a := decisions.allocation("checkout")) and a.written_at > EARLIEST_TIME,
            "the decision behind it",
        )
    finally:
        decisions.close()


def test_topic_may_come_into_being_later(
    embedded_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    decisions = KafkaDecisions({**embedded_broker.client_config, "fetch.wait.max.ms": 20})
    wait_until(lambda: "The newest decisions cannot be read" in caplog.text, "a first attempt")
    assert "Unknown topic" in caplog.text
    write(embedded_broker, decision_bytes())
    wait_until(lambda: decisions.allocation("checkout"), "the topic")
    decisions.close()


def test_nothing_is_known_while_kafka_is_away_and_nothing_waits() -> None:
    decisions = KafkaDecisions({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    assert decisions.allocation("checkout") is None
    assert not decisions.wait_until_read(0.0)
    decisions._stop.set()


FORKING = """
import os, sys
from understudy.gateways.kafka_decisions import KafkaDecisions

decisions = KafkaDecisions(
    {"bootstrap.servers": sys.argv[1], "log_level": 0, "fetch.wait.max.ms": 20}
)
assert decisions.wait_until_read(60)
assert decisions.allocation("checkout")
pid = os.fork()
if pid == 0:
    assert decisions.allocation("checkout") is None
    assert decisions.wait_until_read(60)
    assert decisions.allocation("checkout")
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert decisions.allocation("checkout")
"""


@pytest.mark.slow
def test_child_of_a_fork_reads_for_itself(embedded_broker: EmbeddedBroker) -> None:
    write(embedded_broker, decision_bytes())
    ended = subprocess.run(
        [sys.executable, "-c", FORKING, embedded_broker.bootstrap_servers],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
