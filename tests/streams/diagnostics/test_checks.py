"""The doctor's checks, each on made-up facts."""

from __future__ import annotations

import datetime as dt
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.streams.diagnostics.brokers import event, key
from understudy.schemas.topics import understudy_topics
from understudy.streams.clickhouse.tables import TABLES
from understudy.streams.diagnostics.clickhouse_checks import check_clickhouse, schema_findings
from understudy.streams.diagnostics.dead_letter_checks import check_dead_letters
from understudy.streams.diagnostics.findings import Finding, Level, numbers
from understudy.streams.diagnostics.group_checks import (
    Group,
    Member,
    Progress,
    check_lag,
    check_workers,
)
from understudy.streams.diagnostics.sample_checks import (
    SampledEvent,
    check_clocks,
    check_keys,
    check_partitioner,
    check_sides,
    sampled,
)
from understudy.streams.diagnostics.settings_checks import check_settings
from understudy.streams.diagnostics.topic_checks import check_topics
from understudy.streams.kafka.broker_release import release_of
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.kafka.topic_admin import Finding as Difference
from understudy.streams.kafka.topic_admin import TopicsFound
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.group_positions import GroupPosition
from understudy.streams.settings import KafkaSettings, PairingSettings, Settings

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
PARTITIONS = 4
OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


def levels(findings: Sequence[Finding]) -> list[Level]:
    assert all(bool(one.advice) is (one.level is not OK) for one in findings)
    return [one.level for one in findings]


# Events


def record(
    pair: int,
    side: str = "stable",
    *,
    arrived_s: float = 1.0,
    partition: int | None = None,
    with_key: bytes | None = b"right",
    broker_time: bool = True,
    **more: Any,
) -> SampledEvent:
    own_key = key(pair) if with_key == b"right" else with_key
    found = sampled(
        partition_of(own_key or b"", PARTITIONS) if partition is None else partition,
        NOW_MS + round(arrived_s * 1000),
        broker_time,
        own_key,
        event(pair, side, at=NOW, **more),
        1_000_000,
    )
    assert found is not None
    return found


def both(count: int, **more: Any) -> list[SampledEvent]:
    return [record(n, side, **more) for n in range(count) for side in ("stable", "candidate")]


def test_what_is_no_event_is_not_sampled() -> None:
    assert sampled(0, 0, True, b"k", b"{", 100) is None


def by_crc32(pair: int) -> int:
    return zlib.crc32(key(pair)) % PARTITIONS


@pytest.mark.parametrize(
    ("sample", "expected", "seen"),
    [
        ([], [OK], "no events"),
        (both(50), [OK], "100 events"),
        ([record(n, partition=by_crc32(n)) for n in range(50)], [WARN], "librdkafka's default"),
        (
            [
                *(record(n) for n in range(50)),
                *(record(n, "candidate", partition=by_crc32(n)) for n in range(50)),
            ],
            [FAIL, FAIL],
            "different partitions",
        ),
        (
            [record(1, with_key=None, partition=0), record(1, with_key=None, partition=1)],
            [FAIL],
            "1 of 1 pairs",
        ),
    ],
)
def test_partitioner(sample: list[SampledEvent], expected: list[Level], seen: str) -> None:
    findings = check_partitioner(sample, PARTITIONS)
    assert levels(findings) == expected
    assert seen in findings[0].seen


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ([], [OK]),
        (both(3), [OK]),
        ([record(1, with_key=None)], [FAIL]),
        ([record(1, with_key=b"pair-1")], [FAIL]),
        ([record(1, with_key=None), record(2, with_key=b"\x1b[2J")], [FAIL, FAIL]),
    ],
)
def test_keys(sample: list[SampledEvent], expected: list[Level]) -> None:
    findings = check_keys(sample)
    assert levels(findings) == expected
    assert all(one.seen.isprintable() for one in findings)


def at(gateway: str, arrived_s: float, count: int = 30) -> list[SampledEvent]:
    return [
        record(n, arrived_s=arrived_s, attributes={"gateway": gateway} if gateway else {})
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("sample", "expected", "seen"),
    [
        ([], [OK], "no events"),
        (at("a", 1.0), [OK], "0.0 s ahead"),
        (at("a", -0.5), [OK], "0.5 s ahead"),
        (at("a", -5.0), [WARN], "gateway a"),
        (at("a", 1.0) + at("b", -61.0), [FAIL], "gateway b"),
        (at("a", 1.0) + at("b", 30.0), [WARN], "gateway b"),
        (at("a", 1.0) + at("b", 122.0), [FAIL], "gateway b"),
        (at("", 500.0), [WARN], "rollout helpdesk"),
        (at("a", 1.0) + at("b", 500.0, count=3), [OK], "ahead"),
        ([record(1, broker_time=False)], [WARN], "producers' times"),
    ],
)
def test_clocks(sample: list[SampledEvent], expected: list[Level], seen: str) -> None:
    findings = check_clocks(sample, max_clock_skew_ms=60_000, join_timeout_ms=120_000)
    assert levels(findings) == expected
    assert seen in findings[0].seen


def test_a_slow_answer_is_no_slow_clock() -> None:
    slow = [record(n, arrived_s=60.0, timing={"duration_ms": 59_500.0}) for n in range(30)]
    findings = check_clocks(slow, max_clock_skew_ms=60_000, join_timeout_ms=120_000)
    assert levels(findings) == [OK]


def single(side: str, count: int) -> list[SampledEvent]:
    return [record(n, side, mode="ab", sides=[side]) for n in range(count)]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ([], [OK]),
        (both(30), [OK]),
        (both(30) + [record(n) for n in range(40, 43)], [OK]),
        (both(30) + [record(n) for n in range(40, 60)], [WARN]),
        ([record(n) for n in range(30)], [FAIL]),
        ([record(n, "candidate") for n in range(30)], [FAIL]),
        ([record(n) for n in range(5)], [OK]),
        (single("stable", 95) + single("candidate", 5), [OK]),
        (single("stable", 95), [FAIL]),
    ],
)
def test_sides(sample: list[SampledEvent], expected: list[Level]) -> None:
    assert levels(check_sides(sample)) == expected


# Topics

SPECS = understudy_topics()
EVENTS = SPECS.events.name
ALL = TopicsFound((), (), {spec.name: spec.partitions for spec in SPECS})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ALL, [OK]),
        (replace(ALL, missing=(EVENTS,)), [FAIL]),
        (TopicsFound((EVENTS,), (), {}), [FAIL]),
        (replace(ALL, findings=(Difference(EVENTS, "retention.ms", "1", "2"),)), [WARN]),
        (replace(ALL, findings=(Difference(EVENTS, "partitions", "12", "4"),)), [WARN]),
        (replace(ALL, findings=(Difference(EVENTS, "cleanup.policy", "a", "b"),)), [FAIL]),
        (replace(ALL, findings=(Difference(EVENTS, "message.timestamp.type", "a", "b"),)), [FAIL]),
        (
            replace(
                ALL,
                findings=(Difference(SPECS.windows.name, "message.timestamp.type", "a", "b"),),
            ),
            [WARN],
        ),
        (
            replace(
                ALL,
                findings=(Difference(SPECS.feedback.name, "message.timestamp.type", "a", "b"),),
            ),
            [FAIL],
        ),
        (replace(ALL, partitions={**ALL.partitions, EVENTS: 6}), [OK]),
        (replace(ALL, partitions={**ALL.partitions, SPECS.rollouts.name: 6}), [FAIL]),
        (replace(ALL, partitions={**ALL.partitions, SPECS.dead_letters.name: 6}), [OK]),
    ],
)
def test_topics(found: TopicsFound, expected: list[Level]) -> None:
    assert levels(check_topics(found, SPECS)) == expected


# Workers and lag


def position(
    number: int = 0, at: int | None = 50, *, first: int = 0, end: int = 50, committed: int = 20
) -> GroupPosition:
    metadata = None if at is None else CommitMetadata(None, at, None)
    return GroupPosition(number, first, end, committed, metadata)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group("g", "EMPTY", ()), [FAIL]),
        (Group("g", "STABLE", (Member((0, 1, 2, 3)),)), [OK]),
        (Group("g", "STABLE", (Member((0, 1)), Member((2, 3)), Member(()))), [WARN]),
        (Group("g", "STABLE", (Member((0, 1)),)), [FAIL]),
        (Group("g", "STABLE", (Member((0, 1)), Member(()))), [FAIL, WARN]),
        (Group("g", "PREPARING_REBALANCING", (Member(()),)), [WARN]),
    ],
)
def test_workers(group: Group, expected: list[Level]) -> None:
    assert levels(check_workers(group, 4)) == expected


def progress(before: GroupPosition, after: GroupPosition, *unread: int) -> Progress:
    return Progress([before], [after], 10.0, frozenset(unread))


@pytest.mark.parametrize(
    ("some", "workers", "expected", "seen"),
    [
        (progress(position(), position()), 1, [OK], "everything"),
        (progress(position(), position()), 0, [OK], "everything"),
        (progress(position(end=60), position(end=60)), 0, [FAIL], "10 events wait and nobody"),
        (progress(position(end=60), position(end=60), 0), 1, [FAIL], "have not moved"),
        (progress(position(end=60), position(end=60)), 1, [OK], "marks of transactions"),
        (progress(position(at=10, end=90), position(at=80, end=90)), 1, [OK], "7 a second"),
        (
            progress(position(at=0, end=90_000), position(at=1000, end=90_000)),
            1,
            [WARN],
            "15 minutes",
        ),
        (
            progress(position(at=0, end=90_000), position(at=100, end=99_000)),
            1,
            [WARN],
            "no fewer than come in",
        ),
        (progress(position(), position(committed=80)), 1, [FAIL], "after the end"),
        (progress(position(), position(first=30)), 1, [WARN], "would read again"),
        (
            progress(position(), position(at=25, first=30, end=30)),
            1,
            [FAIL],
            "of events: retention deleted 5 records unread",
        ),
        (
            progress(position(), replace(position(at=None), newer_release=True, committed=50)),
            1,
            [FAIL],
            "newer release",
        ),
    ],
)
def test_lag(some: Progress, workers: int, expected: list[Level], seen: str) -> None:
    findings = check_lag(some, workers=workers)
    assert levels(findings) == expected
    assert seen in findings[0].seen


def test_lag_says_of_what() -> None:
    waits = replace(progress(position(), position(end=90)), source="feedback")
    assert check_lag(waits, workers=0)[0].seen == "40 feedback records wait and nobody reads them"


def test_a_group_that_never_committed_stands_at_the_start_of_the_log() -> None:
    never = GroupPosition(0, 30, 50, None, None)
    assert (never.position, never.lag) == (30, 20)


# Dead letters, settings, ClickHouse, the broker


@pytest.mark.parametrize(
    ("reasons", "events", "expected"),
    [
        ({}, 0, [OK]),
        ({"schema": 1}, 1000, [WARN]),
        ({"schema": 8, "not_json": 3}, 1000, [FAIL, FAIL]),
        ({"\x1b[2J": 1}, 1000, [WARN]),
    ],
)
def test_dead_letters(reasons: dict[str, int], events: int, expected: list[Level]) -> None:
    findings = check_dead_letters(Counter(reasons), events)
    assert levels(findings) == expected
    assert all(one.seen.isprintable() for one in findings)


def pairing(**changes: Any) -> Settings:
    return Settings(pairing=PairingSettings(**changes))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), [OK]),
        (pairing(allowed_lateness_s=60.0), [FAIL]),
        (pairing(join_timeout_s=40_000.0, allowed_lateness_s=40_000.0), [WARN]),
        (pairing(max_event_bytes=9 * 2**20), [FAIL]),
        (pairing(max_join_bytes=2**20), [WARN]),
        (Settings(kafka=KafkaSettings(client={"partitioner": "consistent"})), [FAIL]),
        (Settings(kafka=KafkaSettings(client={"partitioner": "murmur2"})), [OK]),
        (Settings(kafka=KafkaSettings(client={"enable.auto.commit": True})), [FAIL]),
        (
            msgspec.structs.replace(
                Settings(),
                clickhouse=msgspec.structs.replace(Settings().clickhouse, buffer_bytes=2**20),
            ),
            [WARN],
        ),
    ],
)
def test_settings(settings: Settings, expected: list[Level]) -> None:
    assert levels(check_settings(settings)) == expected


Columns = dict[str, dict[str, str]]


def _drop(columns: Columns) -> None:
    del columns["windows"]["closed"]


def _retype(columns: Columns) -> None:
    columns["windows"]["partition"] = "Int8"


def _remove(columns: Columns) -> None:
    del columns["unmatched"]


def _add(columns: Columns) -> None:
    columns["windows"]["note"] = "String"


@pytest.mark.parametrize(
    ("change", "expected"), [(_drop, [FAIL]), (_retype, [FAIL]), (_remove, [FAIL]), (_add, [])]
)
def test_tables(change: Callable[[Columns], None], expected: list[Level]) -> None:
    columns = {table: dict(names) for table, names in TABLES.items()}
    change(columns)
    assert levels(list(schema_findings(columns, TABLES))) == expected


def test_an_embedded_folder_that_is_not_there_is_not_made(tmp_path: Any) -> None:
    folder = tmp_path / "results"
    assert levels(check_clickhouse(f"chdb://{folder}")) == [FAIL]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["ApiKey Produce (0) Versions 0..13"], ""),
        (["x: ApiKey Fetch (1) Versions 4..18"], "Kafka 4.1 or later"),
        (["ApiKey Fetch (1) Versions 4..18", "ApiKey Fetch (1) Versions 0..12"],
         "Kafka 2.7 or later"),
        (["ApiKey Fetch (1) Versions 0..11"], "Kafka older than 2.7"),
    ],
)  # fmt: skip
def test_release(lines: list[str], expected: str) -> None:
    assert release_of(lines) == expected


def test_numbers_for_people() -> None:
    assert numbers([3, 1, 2]) == "1, 2, 3"
    assert numbers(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
