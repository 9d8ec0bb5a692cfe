"""Sums of a rollout's windows in a span of time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from tests.analyzers.guardrails.world import ROLLOUT, START, Harm, World
from tests.streams.clickhouse.window_columns import window_columns
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.clickhouse.traffic_figures import Traffic, read_languages, read_traffic

pytestmark = pytest.mark.embedded
WINDOWS_MADE = 30
MESSAGES = list(World(harm=Harm(bad={"error": 0.1})).messages(5, WINDOWS_MADE))
ROWS = [row for message in MESSAGES for row in message.rows if row.closed]
END = START + dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def connection(clickhouse_url: str) -> Iterator[ReadConnection]:
    """All versions of the rows, each twice."""
    client = connect(clickhouse_url, database="test_traffic")
    migrate(client)
    for message in [*MESSAGES, *MESSAGES]:
        made = block(WINDOWS, window_columns(message.rows))
        client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    roll_up(client)
    reading = ReadConnection(f"{clickhouse_url}?database=test_traffic")
    yield reading
    reading.close()
    client.command("DROP DATABASE test_traffic")
    client.close()


def traffic(connection: ReadConnection, since: dt.datetime = START) -> Traffic:
    return read_traffic(connection, ROLLOUT, since, END)


def test_sums_are_those_of_the_last_version_of_each_row(connection: ReadConnection) -> None:
    found = traffic(connection)
    minutes = {(row.language, row.window_start.replace(second=0)) for row in ROWS}
    assert found.rows == len(minutes)
    assert found.sums["candidate_requests"] == sum(row.candidate.requests for row in ROWS)
    assert found.sums["stable_errors"] == sum(row.stable.errors for row in ROWS)
    assert found.sums["pair_pairs"] == sum(row.pair.pairs for row in ROWS)
    durations = found.histograms["stable_duration_ms_histogram"]
    assert sum(durations.values()) == sum(row.stable.duration_ms_count for row in ROWS)


def test_the_course_adds_up_to_the_sums(connection: ReadConnection) -> None:
    found = traffic(connection)
    times = [step.at_ms for step in found.steps]
    assert times == sorted(times)
    assert len(times) > 1
    for name in ("stable_errors", "candidate_requests"):
        assert sum(step.sums[name] for step in found.steps) == found.sums[name]


def test_a_span_begins_and_ends_with_whole_intervals(connection: ReadConnection) -> None:
    """By minutes within six hours, by five minutes within a day, by hours beyond."""
    minute = START + dt.timedelta(seconds=120)
    wanted = sum(row.candidate.requests for row in ROWS if row.window_start >= minute)
    found = traffic(connection, minute + dt.timedelta(seconds=10))
    assert (found.since, found.until) == (minute, END)
    assert 0 < found.sums["candidate_requests"] == wanted
    everything = sum(row.candidate.requests for row in ROWS)
    for ago, interval in ((12, 5), (600, 60)):
        since = START - dt.timedelta(hours=ago, seconds=1)
        found = read_traffic(connection, ROLLOUT, since, END - dt.timedelta(seconds=1))
        assert found.sums["candidate_requests"] == everything
        assert found.since == START - dt.timedelta(hours=ago, minutes=interval)
        assert found.until == END
        assert sum(step.sums["candidate_requests"] for step in found.steps) == everything


def test_a_rollout_without_windows_has_nothing(connection: ReadConnection) -> None:
    found = read_traffic(connection, "unknown", START, END)
    assert (found.rows, found.steps) == (0, [])
    assert not any(found.sums.values())


def test_languages_add_up_to_the_whole(connection: ReadConnection) -> None:
    found = read_languages(connection, ROLLOUT, START, END)
    assert {one.language for one in found} == {row.language for row in ROWS}
    for name in ("candidate_requests", "stable_errors"):
        assert sum(one.sums[name] for one in found) == traffic(connection).sums[name]
    histograms = [one.histograms["stable_duration_ms_histogram"] for one in found]
    assert sum(sum(one.values()) for one in histograms) == sum(
        row.stable.duration_ms_count for row in ROWS
    )
    assert read_languages(connection, "unknown", START, END) == []


ENDS = (
    "INSERT INTO rollup_1m (rollout_id, mode, language, workflow, window_start, window_s, source, "
    "version, closed, stable_requests, events_paired, events_single) VALUES "
)


@pytest.fixture
def fresh(clickhouse_url: str, clickhouse_database: str) -> Iterator[tuple[Client, ReadConnection]]:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    reading = ReadConnection(f"{clickhouse_url}?database={clickhouse_database}")
    yield client, reading
    reading.close()
    client.close()


def test_ratings_and_evaluations_are_no_events(fresh: tuple[Client, ReadConnection]) -> None:
    client, reading = fresh
    at = f"'{START:%Y-%m-%d %H:%M:%S}'"
    counted = {"events": (10, 10, 2), "feedback": (0, 0, 90), "evaluations": (0, 0, 50)}
    rows = [
        f"('r', 'shadow', 'ja', '', {at}, 60, '{source}', 1, true, {', '.join(map(str, of))})"
        for source, of in counted.items()
    ]
    client.command(ENDS + ", ".join(rows))
    found = read_traffic(reading, "r", START - dt.timedelta(minutes=1), END)
    assert (found.sums["events_paired"], found.sums["events_single"]) == (10, 2)
    assert found.sums["stable_requests"] == 10


def test_a_short_span_of_long_ago_comes_from_what_is_left(
    fresh: tuple[Client, ReadConnection],
) -> None:
    """Minutes are kept for 60 days, hours for 400."""
    client, reading = fresh
    at = START.replace(minute=0, second=0)
    row = f"('r', 'shadow', 'ja', '', '{at:%Y-%m-%d %H:%M:%S}', 3600, 'events', 1, true, 10, 10, 0)"
    client.command(ENDS.replace("rollup_1m", "rollup_1h") + row)
    span = (at + dt.timedelta(minutes=10), at + dt.timedelta(minutes=40))
    found = read_traffic(reading, "r", *span)
    assert (found.rows, found.sums["stable_requests"]) == (1, 10)
    assert (found.since, found.until) == (at, at + dt.timedelta(hours=1))
    assert [one.language for one in read_languages(reading, "r", *span)] == ["ja"]
