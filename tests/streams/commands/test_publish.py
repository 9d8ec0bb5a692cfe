"""Publish: keys as the service expects them, and nothing lost from sight."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer

from tests.integration.bad_input import DEEP, event, pair
from tests.integration.topic_log import partition_of
from understudy.streams.commands.main import main
from understudy.streams.commands.publish import key_of
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import TopicsReport


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (event("p"), b"r/p"),
        (event("p/q"), b"r/p/q"),
        (event("日本"), "r/日本".encode()),
        (event("p", schema_version=9), b"r/p"),
        (event("p", side="both"), b"r/p"),
        (event("p", pair_id=7), b"r/"),
        (event("p", pair_id=...), b"r/"),
        (event("p", rollout_id=7), None),
        (event("p", rollout_id=...), None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * DEEP, None),
        (b"", None),
    ],
)
def test_the_key_is_rollout_and_pair(line: bytes, key: bytes | None) -> None:
    assert key_of(line) == key


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


def test_a_damaged_file_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "understudy.streams.commands.publish.create_missing_topics",
        lambda _: TopicsReport((), (), ()),
    )
    file = tmp_path / "events.gz"
    file.write_bytes(b"\x1f\x8b\x08broken")
    done = CliRunner().invoke(main, ["publish", str(file)])
    assert done.exit_code == 1
    assert "events.gz" in done.stderr
    assert done.stdout == ""
