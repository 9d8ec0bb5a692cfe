"""A test broker survives what fault tests do to it, and ends with the test run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.brokers.choose import is_broker_required
from tests.brokers.contract import Broker, NoBroker, answers
from tests.brokers.kraft import KraftBroker
from tests.waiting import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.slow]

TOPIC = "notes"
ROOT = Path(__file__).parents[2]
START_AND_DIE = """
import os, signal
from tests.brokers.kraft import KraftBroker
from tests.waiting import wait_until
broker = KraftBroker()
broker.start()
print(broker.bootstrap_servers, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def write(broker: Broker, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    for value in values:
        producer.produce(TOPIC, value, partition=0)
    assert producer.flush(20) == 0


def count(broker: Broker) -> int:
    """Messages in the topic."""
    config = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "count", "log_level": 0}
    consumer = Consumer(config)
    low, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=20)
    consumer.close()
    return high - low


def is_up(bootstrap_servers: str) -> bool:
    return answers(AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0}))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_broker_keeps_address_and_messages_over_a_restart(own_broker: Broker, end: str) -> None:
    address = own_broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result(20)
    write(own_broker, [b"before"] * 10)
    finish: Callable[[], None] = getattr(own_broker, end)
    finish()
    assert not is_up(address)
    own_broker.restart()
    assert own_broker.bootstrap_servers == address
    write(own_broker, [b"after"])
    assert count(own_broker) == 11


def test_broker_of_a_killed_test_run_ends_too() -> None:
    skip_without_jars()
    run = subprocess.run(
        [sys.executable, "-c", START_AND_DIE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    wait_until(lambda: not is_up(run.stdout.strip()), "the broker has ended, too")


def skip_without_jars() -> None:
    try:
        KraftBroker().close()
    except NoBroker as error:
        if is_broker_required() and "UNDERSTUDY_TEST_BOOTSTRAP_SERVERS" not in os.environ:
            raise
        pytest.skip(f"Kafka's jars do not run here: {error}")
