"""The view `accounting` says what the latest window rows say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import count

import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse.window_columns import window_columns
from understudy.schemas.window_measures import EventCounts
from understudy.schemas.windows import Source, WindowRow
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import WINDOWS, block

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


@pytest.fixture
def client(clickhouse_url: str, clickhouse_database: str) -> Iterator[Client]:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    yield client
    client.close()


def row(
    partition: int,
    version: int,
    at: dt.datetime = NOON,
    source: Source = "events",
    **counts: int,
) -> WindowRow:
    return WindowRow(
        rollout_id="helpdesk",
        mode="shadow",
        language="ja",
        workflow="",
        window_start=at,
        window_s=10,
        source=source,
        partition=partition,
        version=version,
        closed=False,
        events=EventCounts(**counts),
    )


def store(client: Client, rows: list[WindowRow]) -> None:
    loader = Loader(lambda: client)
    loader.put([block(WINDOWS, window_columns(rows))], {})
    assert loader.flush(0)


def test_every_outcome_counts_once_and_the_sum_is_theirs(client: Client) -> None:
    outcomes = EventCounts.__struct_fields__
    numbers = dict(zip(outcomes, (2**n for n in count()), strict=False))
    store(client, [row(3, 17, **numbers)])
    found = client.query("SELECT * FROM accounting")
    assert dict(zip(found.column_names, found.result_rows[0], strict=True)) == {
        "source": "events",
        "partition": 3,
        "day": NOON.date(),
        "paired": numbers["paired"],
        "single": numbers["single"],
        "unmatched": sum(v for n, v in numbers.items() if n.startswith("unmatched")),
        "duplicate": numbers["duplicate"],
        "superseded": numbers["superseded"],
        "late": numbers["late"],
        "invalid": numbers["invalid"],
        "events": 2 ** len(outcomes) - 1,
        "accounted_to": 17,
    }


def test_the_highest_version_of_a_row_counts_alone(client: Client) -> None:
    rows = [row(0, 20, paired=6), row(0, 10, paired=4), row(0, 10, paired=4), row(1, 5, single=1)]
    for one in rows:
        store(client, [one])
    found = client.query(
        "SELECT partition, sum(events), max(accounted_to) FROM accounting "
        "GROUP BY partition ORDER BY partition"
    ).result_rows
    assert [tuple(r) for r in found] == [(0, 6, 20), (1, 1, 5)]


def test_sources_have_accounts_of_their_own(client: Client) -> None:
    """A partition and version of feedback say nothing about those of events."""
    store(client, [row(0, 20, paired=6), row(0, 3, source="feedback", single=2)])
    found = client.query(
        "SELECT source, single, paired, accounted_to FROM accounting ORDER BY source"
    ).result_rows
    assert [tuple(r) for r in found] == [("events", 0, 6, 20), ("feedback", 2, 0, 3)]


def test_days_are_those_of_utc(client: Client) -> None:
    midnight = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    before = midnight - dt.timedelta(seconds=10)
    store(client, [row(0, 9, before, late=1), row(0, 9, midnight, late=2)])
    found = client.query("SELECT day, late FROM accounting ORDER BY day").result_rows
    assert [tuple(r) for r in found] == [(before.date(), 1), (midnight.date(), 2)]
