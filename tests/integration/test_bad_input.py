"""Bad input through Kafka: a worker that goes on, dead letters that say why."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.integration.bad_input import CASES, pair
from tests.integration.oracle import Report, differences
from tests.integration.path import run_whole_path
from understudy.analyzers.compare.language import detect_language
from understudy.analyzers.windows.rows import total
from understudy.schemas.topics import Topics
from understudy.streams.replay.report import report

pytestmark = pytest.mark.integration

MAX_LETTER_BYTES = 4 * 1024 * 1024
"""Of a longer event a dead letter keeps the beginning, and says so."""


def renamed(number: int, line: bytes) -> bytes:
    """The line under a rollout that no other case has."""
    return line.replace(b'"rollout_id": "r"', f'"rollout_id": "case-{number}"'.encode())


def shuffled_lines() -> list[bytes]:
    """The lines of all cases, each under a rollout of its own, mixed with healthy pairs."""
    rng = random.Random(4)
    lines: list[bytes] = []
    for number, case in enumerate(CASES):
        lines += (renamed(number, line) for line in case.lines)
    lines += (side for number in range(300) for side in pair(f"healthy-{number}"))
    rng.shuffle(lines)
    return [*lines, rng.randbytes(3_000_000).replace(b"\n", b"")]


def test_bad_input_is_counted_and_put_aside(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    names = topics(event_partitions=2)
    strange = [(None, None), (None, b""), (b"\xff\xfe", b"{"), (b"r/x", None), (b"", b"[]")]
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap_servers})
    for key, value in strange:
        producer.produce(names.events.name, value, key)
    assert producer.flush(10) == 0
    path = run_whole_path(shuffled_lines(), kafka_broker, names, tmp_path, refuses=True)

    # What no broker takes: 10 MB at once, and 3 MB that do not compress.
    assert "2 events refused" in path.publish_stderr or (
        path.publish_stderr.count("1 events refused") == 2
    ), path.publish_stderr
    assert sum(map(len, path.log)) == len(strange) + len(path.lines) - 2

    account = path.account
    assert len(account.pairs) > 100
    assert account.late
    assert differences(Report(detect_language).document(account),
                       report(path.windows, account.read)) == []  # fmt: skip
    for number, one in enumerate(path.accounts):
        counted = msgspec.to_builtins(
            total(row for row in path.windows if row.partition == number).events
        )
        assert sum(counted.values()) + len(one.pending) == one.read

    found = {
        (int(letter.headers["partition"]), int(letter.headers["offset"])): letter
        for letter in path.dead_letters
    }
    expected = {
        (number, offset) for number, one in enumerate(path.accounts) for _, offset in one.invalid
    }
    assert found.keys() == expected
    declared = {
        renamed(number, case.lines[0]): case.reasons[0]
        for number, case in enumerate(CASES)
        if case.places == {"invalid": 1}
    }
    sources = {place: path.log[place[0]][place[1]] for place in found}
    reasons = {
        sources[place].value: letter.headers["reason"].decode() for place, letter in found.items()
    }
    assert {reasons[line] for line in declared if line in reasons} == set(declared.values())
    for line, reason in declared.items():
        assert reasons.get(line, reason) == reason, line[:100]
    assert reasons[b""] == "empty"
    for place, letter in found.items():
        whole = sources[place].value
        assert letter.key == sources[place].key
        assert letter.value == whole[:MAX_LETTER_BYTES]
        cut = str(len(whole)).encode() if len(whole) > MAX_LETTER_BYTES else None
        assert letter.headers.get("cut_from_bytes") == cut
        assert len(letter.headers["detail"]) <= 1000
