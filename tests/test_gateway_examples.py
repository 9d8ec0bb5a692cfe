"""Examples of gateways in other languages: their keys, partitions and events are ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from tests.brokers.contract import Broker
from tests.waiting import wait_until
from understudy.schemas.events import EventIdentity, decode_event, event_key, request_time_ms
from understudy.schemas.topics import PARTITIONER, Topics
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.partitioner import partition_of

FOLDER: Final = Path(__file__).parents[1] / "examples" / "gateways"
VECTORS: Final = json.loads((FOLDER / "vectors.json").read_text("utf-8"))["keys"]
_PARTITIONS: Final = 12
_MESSAGES: Final = 6
"""Two sides of three requests."""
_TIMEOUT_S: Final = 300.0
"""Go compiles its standard library on first use."""


def run(program: str, *arguments: str, folder: str, **environment: str) -> str:
    """The output of a program in a folder of examples; skips the test where it is not there."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [found, *arguments],
        cwd=FOLDER / folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one["key"][:20])
def test_vectors_are_what_the_service_does(vector: dict[str, Any]) -> None:
    names = (vector["rollout_id"], vector["pair_id"], vector["conversation_id"])
    key = vector["key"]

    assert event_key(EventIdentity(*names)) == key
    for count, partition in vector["partitions"].items():
        assert partition_of(key.encode(), int(count)) == partition
        assert (vector["murmur2"] & 0x7FFFFFFF) % int(count) == partition


@pytest.mark.embedded
def test_vectors_are_what_librdkafka_does(embedded_broker: EmbeddedBroker) -> None:
    placed: dict[str, int] = {}
    producer = Producer(
        {"bootstrap.servers": embedded_broker.bootstrap_servers, "partitioner": PARTITIONER}
    )
    for vector in VECTORS:
        producer.produce(
            "keys",
            key=vector["key"].encode(),
            value=b"{}",
            on_delivery=lambda _, message: placed.update(
                {message.key().decode(): message.partition()}
            ),
        )
    producer.flush(_TIMEOUT_S)

    assert placed == {
        vector["key"]: partition_of(vector["key"].encode(), EMBEDDED_PARTITIONS)
        for vector in VECTORS
    }


def check_messages(output: str) -> None:
    """Three requests of two sides each, as `decode_event` and the join want them."""
    messages = [json.loads(line) for line in output.splitlines()]
    events = [decode_event(message["value"].encode()) for message in messages]
    assert [event.side for event in events] == ["stable", "candidate"] * 3
    for message, event in zip(messages, events, strict=True):
        assert message["key"] == event_key(event)
        assert message["partition"] == partition_of(message["key"].encode(), _PARTITIONS)
    for stable, candidate in zip(events[::2], events[1::2], strict=True):
        assert stable.pair_id == candidate.pair_id
        assert stable.request_time == candidate.request_time
        assert stable.served
        assert not candidate.served
    answered, failed, dropped = events[1::2]
    assert answered.response is not None
    assert answered.response.output == "2041, 89,50 € 🧾"
    assert answered.response.tool_calls is not None
    assert failed.error is not None
    assert failed.error.status == 504
    assert dropped.error is not None
    assert (dropped.error.type, dropped.error.source) == ("mirror_dropped", "gateway")


@pytest.mark.slow
def test_node_keys_and_partitions() -> None:
    run("node", "--test", folder="node")


@pytest.mark.slow
def test_node_events() -> None:
    check_messages(run("node", "example.mjs", folder="node"))


@pytest.mark.slow
def test_go_keys_and_partitions() -> None:
    run("go", "test", "./understudy", folder="go", GOFLAGS="-mod=mod", GOTOOLCHAIN="local")


@pytest.mark.slow
def test_go_events() -> None:
    check_messages(run("go", "run", "./example", folder="go", GOTOOLCHAIN="local"))


@pytest.mark.integration
def test_node_publishes_to_kafka(kafka_broker: Broker, topics: Callable[..., Topics]) -> None:
    if not (FOLDER / "node" / "node_modules" / "kafkajs").exists():
        pytest.skip("npm install was not run in examples/gateways/node")
    topic = topics().events.name
    servers = kafka_broker.bootstrap_servers
    run("node", "publish.mjs", folder="node", KAFKA=servers, TOPIC=topic)

    check_messages(published(servers, topic))


@pytest.mark.integration
def test_go_publishes_to_kafka(kafka_broker: Broker, topics: Callable[..., Topics]) -> None:
    modules = run("go", "env", "GOMODCACHE", folder="go").strip()
    if not (Path(modules) / "github.com" / "twmb").exists():
        pytest.skip("go mod download was not run in examples/gateways/go")
    topic = topics().events.name
    servers = kafka_broker.bootstrap_servers
    run("go", "run", "./publish", folder="go", KAFKA=servers, TOPIC=topic)

    check_messages(published(servers, topic))


def published(bootstrap_servers: str, topic: str) -> str:
    """The messages of the topic in the form of the examples' output, by request time and side."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "examples"})
    partitions = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])
    found: list[Message] = []
    wait_until(lambda: len(add_to(found, consumer)) == _MESSAGES, "all messages were published")
    consumer.close()
    for message in found:
        assert message.partition() == partition_of(message.key(), len(partitions))
    lines = [
        {
            "key": message.key().decode(),
            "value": message.value().decode(),
            "partition": partition_of(message.key(), _PARTITIONS),
        }
        for message in sorted(found, key=lambda one: request_time_ms(decode_event(one.value())))
    ]
    return "\n".join(map(json.dumps, lines))


def add_to(found: list[Message], consumer: Consumer) -> list[Message]:
    found += [one for one in consumer.consume(_MESSAGES, timeout=0.1) if one.error() is None]
    return found
