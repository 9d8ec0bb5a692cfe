"""Publish: keys as the service expects them, and nothing lost from sight."""

from __future__ import annotations

import gzip
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer

from tests.integration.bad_input import event, pair
from tests.integration.topic_log import partition_of
from understudy.streams.commands.main import main
from understudy.streams.kafka.embedded_broker import EmbeddedBroker


@pytest.mark.embedded
def test_both_sides_of_a_pair_reach_one_partition(
    embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    stable, candidate = tmp_path / "stable.ndjson", tmp_path / "candidate.ndjson"
    pairs = [pair(f"p{n}") for n in range(200)]
    stable.write_bytes(b"\n".join(one for one, _ in pairs))
    candidate.write_bytes(b"\n".join([*(other for _, other in pairs), b"{"]))
    done = CliRunner().invoke(main, ["publish", str(stable), str(candidate)])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("401 events written to understudy.events in ")
    consumer = Consumer(
        {
            "bootstrap.servers": embedded_broker.bootstrap_servers,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(["understudy.events"])
    found = []
    while len(found) < 401:
        found += consumer.consume(401 - len(found), 0.2)
    count = len(consumer.list_topics("understudy.events").topics["understudy.events"].partitions)
    consumer.close()
    places: dict[bytes, set[int | None]] = {}
    for message in found:
        if key := message.key():
            places.setdefault(key, set()).add(message.partition())
            assert message.partition() == partition_of(key, count)
    assert len(places) == 200
    assert all(len(partitions) == 1 for partitions in places.values())


@pytest.fixture
def broker_settings(
    embedded_broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prefix of its own, so that each test begins with topics that are empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_TOPIC_PREFIX", f"{tmp_path.name}.")


def publish(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["publish", *map(str, arguments)], input=stdin)


def recorded(file: Path, minute: int, pairs: int = 50) -> Path:
    lines = [
        line
        for n in range(pairs)
        for line in pair(f"{minute}-{n}", request_time=f"2025-03-03T12:{minute:02}:00Z")[1:]
    ]
    file.write_bytes(b"\n".join(lines))
    return file


@pytest.mark.embedded
def test_an_older_recording_is_refused_beside_newer_events(
    broker_settings: None, tmp_path: Path
) -> None:
    new, old = recorded(tmp_path / "new", 30), recorded(tmp_path / "old", 10)
    assert publish(new).exit_code == 0
    refused = publish(old)
    assert refused.exit_code == 1
    assert "nothing was written: 50 of the 50 oldest events lie more than 120 s" in refused.stderr
    assert "understudy replay" in refused.stderr
    assert refused.stdout == ""
    written = publish("--include-late", old)
    assert written.exit_code == 0
    assert written.stdout.startswith("50 events written")
    assert "50 events are older than what their partition holds" in written.stderr
    assert publish(recorded(tmp_path / "newer", 31)).exit_code == 0


@pytest.mark.embedded
def test_a_truncated_file_says_how_much_was_written(broker_settings: None, tmp_path: Path) -> None:
    file = tmp_path / "events.gz"
    noise = random.Random(1)
    lines = (event(f"p{n}", workflow=noise.randbytes(60).hex()) for n in range(3000))
    packed = gzip.compress(b"\n".join(lines))
    file.write_bytes(packed[: len(packed) // 2])
    done = publish(file)
    assert done.exit_code == 1
    count = re.match(r"([\d,]+) events written to", done.stdout)
    assert count is not None
    assert 0 < int(count[1].replace(",", "")) < 3000
    assert f"; {count[1]} events written to" in done.stderr
    assert "events.gz: Compressed file ended" in done.stderr


@pytest.mark.embedded
def test_stdin_is_published(broker_settings: None) -> None:
    done = publish("-", stdin=b"\n".join(pair("x")))
    assert (done.exit_code, done.stdout[:16]) == (0, "2 events written"), done.stderr


@pytest.mark.embedded
def test_invalid_events_are_named_with_line_and_field(
    broker_settings: None, tmp_path: Path
) -> None:
    file = tmp_path / "events"
    bad = event("x", pair_id=7)
    future = event("x", request_time="2099-03-03T12:00:00Z")
    file.write_bytes(b"\n".join([bad, *pair("a"), bad, future]))
    done = publish(file)
    assert done.exit_code == 0
    assert "invalid: 2 schema\n" in done.stderr
    place = f"{file}:1 at $.pair_id: Expected `str`, got `int` (2 like this)"
    assert place in done.stderr.replace("\n", "")
    assert "invalid: 1 clock_ahead\n" in done.stderr
    file.write_bytes(b"\n".join([bad, b"{"]))
    done = publish(file)
    assert done.exit_code == 1
    assert "none of the events can be used" in done.stderr


@pytest.mark.embedded
def test_a_damaged_file_stops_it(broker_settings: None, tmp_path: Path) -> None:
    file = tmp_path / "events.gz"
    file.write_bytes(b"\x1f\x8b\x08broken")
    done = publish(file)
    assert done.exit_code == 1
    assert "events.gz" in done.stderr
    assert "; 0 events written to" in done.stderr


@pytest.mark.embedded
def test_recorded_answers_are_written_as_events(broker_settings: None, tmp_path: Path) -> None:
    stable, candidate = tmp_path / "stable.csv", tmp_path / "candidate.csv"
    rows = "".join(f"{n},so\n" for n in range(20))
    stable.write_text(f"id,answer\n{rows}")
    candidate.write_text(f"id,answer\n{rows},no id\n")
    refused = publish("--from", "auto", stable, candidate)
    assert refused.exit_code == 2
    assert "--rollout-id" in refused.stderr
    done = publish("--from", "auto", "--rollout-id", "search-v2", stable, candidate)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("40 events written to ")
    assert "candidate.csv:22: has no id" in done.stderr
