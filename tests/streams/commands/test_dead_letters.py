"""`understudy dead-letters` on a real broker."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, TopicPartition

from tests.brokers.contract import Broker
from tests.streams.diagnostics.brokers import (
    Headers,
    MakeTopics,
    event,
    feedback,
    key,
    read_all,
    write,
)
from understudy.schemas.topics import Topics
from understudy.streams.commands.main import main
from understudy.streams.pairing.commit_rule import CommitMetadata

pytestmark = pytest.mark.integration
HOSTILE = b'{"output": "\x1b[2J\\u001b]0;owned\\u0007 \xe2\x80\xae"}'


def headers(
    topics: Topics, reason: str, offset: int, detail: str = "why", topic: str = ""
) -> Headers:
    return [
        ("reason", reason.encode()),
        ("detail", detail.encode()),
        ("topic", (topic or topics.events.name).encode()),
        ("partition", b"1"),
        ("offset", str(offset).encode()),
    ]


def run(broker: Broker, specs: Topics, *arguments: str) -> Result:
    prefix = specs.events.name.removesuffix("events")
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
        "UNDERSTUDY_KAFKA_GROUP_ID": f"{prefix}pairing",
    }
    with CliRunner().isolated_filesystem():
        return CliRunner().invoke(main, ["dead-letters", *arguments], env=environment)


@pytest.fixture
def filled(kafka_broker: Broker, topics: MakeTopics) -> Topics:
    """Twelve letters about ten events, four of them worth a replay."""
    specs = topics()
    now = dt.datetime.now(dt.UTC)
    records: list[tuple[bytes | None, bytes | None, Headers]] = [
        *((key(n), event(n, at=now), headers(specs, "clock_ahead", n)) for n in range(4)),
        *((key(n), b"{broken", headers(specs, "not_json", n)) for n in range(4, 9)),
        (b"shop/1", HOSTILE, headers(specs, "schema", 9, "bad \x1b[31m field")),
    ]
    records += records[:2]
    write(kafka_broker, specs.dead_letters.name, records)
    return specs


def test_list_counts_each_event_once(kafka_broker: Broker, filled: Topics) -> None:
    result = run(kafka_broker, filled, "list", "--json", "--limit", "3")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["total"] == 10
    assert document["reasons"] == {"clock_ahead": 4, "not_json": 5, "schema": 1}
    assert len(document["newest"]) == 3


def test_list_filters(kafka_broker: Broker, filled: Topics) -> None:
    for arguments, total in (
        (["--reason", "schema"], 1),
        (["--reason", "schema", "--reason", "not_json"], 6),
        (["--rollout", "shop"], 1),
        (["--since", "1h"], 10),
        (["--since", "2100-01-01"], 0),
    ):
        result = run(kafka_broker, filled, "list", "--json", *arguments)
        assert json.loads(result.stdout)["total"] == total, arguments


def test_nothing_listed_or_shown_acts_on_a_terminal(kafka_broker: Broker, filled: Topics) -> None:
    shown = run(kafka_broker, filled, "show", f"{filled.events.name}/1/9")
    listed = run(kafka_broker, filled, "list")
    as_json = run(kafka_broker, filled, "list", "--json")
    assert "owned" in shown.stdout
    assert "\\x1b[31m" in shown.stdout
    for output in (shown.stdout, listed.stdout, as_json.stdout):
        assert all(line.isprintable() for line in output.split("\n"))


def test_show_raw_is_the_payload(kafka_broker: Broker, filled: Topics) -> None:
    result = run(kafka_broker, filled, "show", "--raw", f"{filled.events.name}/1/9")
    assert result.stdout_bytes == HOSTILE


def test_show_what_is_not_there(kafka_broker: Broker, filled: Topics) -> None:
    result = run(kafka_broker, filled, "show", f"{filled.events.name}/1/99")
    assert result.exit_code == 1
    assert "there is no dead letter about" in result.stderr


def test_a_dry_run_writes_nothing(kafka_broker: Broker, filled: Topics) -> None:
    result = run(kafka_broker, filled, "replay", "--all", "--dry-run")
    assert result.exit_code == 0
    assert f"4 events would be written to {filled.events.name}" in result.stdout
    assert read_all(kafka_broker, filled.events.name) == []


def test_replay_writes_the_same_key_and_payload(kafka_broker: Broker, filled: Topics) -> None:
    result = run(kafka_broker, filled, "replay", "--all")
    assert result.exit_code == 0, result.output
    found = {m.key(): m for m in read_all(kafka_broker, filled.events.name)}
    assert set(found) == {key(n) for n in range(4)}
    message = found[key(2)]
    assert json.loads(message.value() or b"")["pair_id"] == "pair-2"
    assert message.headers() == [("replayed_from", f"{filled.events.name}/1/2".encode())]


def test_replay_leaves_out_what_would_be_refused_again(
    kafka_broker: Broker, filled: Topics
) -> None:
    result = run(kafka_broker, filled, "replay", "--reason", "not_json")
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
        in run(kafka_broker, filled, "replay", "--all").stderr
    )
    assert read_all(kafka_broker, filled.events.name) == []
    late = run(kafka_broker, filled, "replay", "--all", "--include-late")
    assert "4 of them count as late" in late.stderr
    assert len(read_all(kafka_broker, filled.events.name)) == 4


def test_replay_writes_to_the_topic_that_a_letter_came_from(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    specs = topics()
    ahead = "clock_ahead"
    letters = [
        (key(1), event(1), headers(specs, ahead, 1)),
        (key(2), feedback(2), headers(specs, ahead, 1, topic=specs.feedback.name)),
        (key(3), event(3), headers(specs, ahead, 2, topic=specs.feedback.name)),
        (b"helpdesk", event(4), headers(specs, ahead, 3, topic=specs.windows.name)),
        (key(5), event(5), []),
    ]
    write(kafka_broker, specs.dead_letters.name, letters)
    dry = run(kafka_broker, specs, "replay", "--all", "--dry-run")
    assert f"1 feedback records would be written to {specs.feedback.name}" in dry.stdout
    result = run(kafka_broker, specs, "replay", "--reason", ahead, "--reason", "unknown")
    assert result.exit_code == 0, result.output
    assert "2 left out: this release would refuse them again" in result.stderr
    assert {m.key() for m in read_all(kafka_broker, specs.events.name)} == {key(1), key(5)}
    (message,) = read_all(kafka_broker, specs.feedback.name)
    assert (message.key(), message.value()) == (key(2), letters[1][1])
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
    assert run(kafka_broker, filled, *arguments).exit_code == 2


def test_without_the_topic(kafka_broker: Broker, topics: MakeTopics, tmp_path: Path) -> None:
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": "nobody-has-this.",
    }
    result = CliRunner().invoke(main, ["dead-letters", "list"], env=environment)
    assert result.exit_code == 1
    assert "understudy topics" in result.stderr
