"""`understudy dead-letters replay` on a real broker."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.brokers.contract import Broker
from tests.streams.commands.dead_letter_runs import headers, run_dead_letters
from tests.streams.diagnostics.brokers import (
    MakeTopics,
    event,
    feedback,
    key,
    read_all,
    write,
)
from understudy.schemas.topics import Topics
from understudy.streams.pairing.commit_rule import CommitMetadata

pytestmark = pytest.mark.integration


def test_a_dry_run_writes_nothing(kafka_broker: Broker, filled: Topics) -> None:
    result = run_dead_letters(kafka_broker, filled, "replay", "--all", "--dry-run")
    assert result.exit_code == 0
    assert f"4 events would be written to {filled.events.name}" in result.stdout
    assert read_all(kafka_broker, filled.events.name) == []


def test_replay_writes_the_same_key_and_payload(kafka_broker: Broker, filled: Topics) -> None:
    result = run_dead_letters(kafka_broker, filled, "replay", "--all")
    assert result.exit_code == 0, result.output
    found = {m.key(): m for m in read_all(kafka_broker, filled.events.name)}
    assert set(found) == {key(n) for n in range(4)}
    message = found[key(2)]
    assert json.loads(message.value() or b"")["pair_id"] == "pair-2"
    assert message.headers() == [("replayed_from", f"{filled.events.name}/1/2".encode())]


def test_replay_leaves_out_what_would_be_refused_again(
    kafka_broker: Broker, filled: Topics
) -> None:
    result = run_dead_letters(kafka_broker, filled, "replay", "--reason", "not_json")
    assert result.exit_code == 0
    assert "5 left out: this release would refuse them again" in result.stderr
    assert read_all(kafka_broker, filled.events.name) == []


def test_replay_leaves_out_what_would_be_late(kafka_broker: Broker, filled: Topics) -> None:
    ahead_ms = round(dt.datetime.now(dt.UTC).timestamp() * 1000) + 3_600_000
    metadata = CommitMetadata(None, 0, ahead_ms).encode()
    group = f"{filled.events.name.removesuffix('events')}pairing"
    consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap_servers, "group.id": group})
    places = [TopicPartition(filled.events.name, n, 0, metadata=metadata) for n in range(3)]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
    assert (
        "4 left out: so old that they would only be counted as late"
        in run_dead_letters(kafka_broker, filled, "replay", "--all").stderr
    )
    assert read_all(kafka_broker, filled.events.name) == []
    late = run_dead_letters(kafka_broker, filled, "replay", "--all", "--include-late")
    assert "4 of them count as late" in late.stderr
    assert len(read_all(kafka_broker, filled.events.name)) == 4


def test_replay_writes_to_the_topic_that_a_record_came_from(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    specs = topics()
    ahead = "clock_ahead"
    records = [
        (key(1), event(1), headers(specs, ahead, 1)),
        (key(2), feedback(2), headers(specs, ahead, 1, topic=specs.feedback.name)),
        (key(3), event(3), headers(specs, ahead, 2, topic=specs.feedback.name)),
        (b"helpdesk", event(4), headers(specs, ahead, 3, topic=specs.windows.name)),
        (key(5), event(5), []),
    ]
    write(kafka_broker, specs.dead_letters.name, records)
    dry = run_dead_letters(kafka_broker, specs, "replay", "--all", "--dry-run")
    assert f"1 feedback records would be written to {specs.feedback.name}" in dry.stdout
    result = run_dead_letters(
        kafka_broker, specs, "replay", "--reason", ahead, "--reason", "unknown"
    )
    assert result.exit_code == 0, result.output
    assert "2 left out: this release would refuse them again" in result.stderr
    assert {m.key() for m in read_all(kafka_broker, specs.events.name)} == {key(1), key(5)}
    (message,) = read_all(kafka_broker, specs.feedback.name)
    assert (message.key(), message.value()) == (key(2), records[1][1])
    assert read_all(kafka_broker, specs.windows.name) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay"],
        ["replay", "--all", "--reason", "schema"],
        ["replay", "--event", "nowhere"],
        ["list", "--since", "yesterday"],
        ["show", "x"],
    ],
)
def test_wrong_usage(kafka_broker: Broker, filled: Topics, arguments: list[str]) -> None:
    assert run_dead_letters(kafka_broker, filled, *arguments).exit_code == 2
