"""Sums by the hour, as windows have them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from tests.analyzers.drift.traffic import FIRST, traffic, window_rows
from tests.streams.clickhouse.window_columns import window_columns
from understudy.analyzers.drift.periods import Hours
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse import hourly_rows
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.hourly_traffic import hourly_sums, hours_of_side
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import WINDOWS, block


@pytest.fixture
def url(clickhouse_url: str, clickhouse_database: str) -> str:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    client.close()
    return f"{clickhouse_url}?database={clickhouse_database}"


@pytest.fixture
def connection(url: str) -> Iterator[ReadConnection]:
    made = ReadConnection(url)
    yield made
    made.close()


def store(url: str, rows: list[WindowRow]) -> None:
    client = connect(url, create=False)
    made = block(WINDOWS, window_columns(rows))
    client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    roll_up(client)
    client.close()


def test_sums_are_those_of_the_windows_whatever_was_written_again(
    url: str, connection: ReadConnection
) -> None:
    sums = traffic(np.random.default_rng(0), 2)
    rows = window_rows(sums, "stable")
    early = [msgspec.structs.replace(row, version=0, closed=False) for row in rows[::3]]
    other = [msgspec.structs.replace(row, partition=1, window_s=10) for row in rows]
    store(url, [*early, *rows])
    store(url, [*other, *window_rows(sums, "stable", "another")])
    assert hours_of_side(connection, "checkout", "stable") == (FIRST, FIRST + 48)
    assert hours_of_side(connection, "checkout", "candidate") is None
    spans = [Hours(FIRST + 1, FIRST + 4), Hours(FIRST + 40, FIRST + 41)]
    found = hourly_sums(connection, "checkout", "stable", spans)
    chosen = sums.where(sums.within(spans[0]) | sums.within(spans[1]))
    order = np.lexsort((found.languages, found.hours))
    expected = np.lexsort((chosen.languages, chosen.hours))
    assert found.hours[order].tolist() == chosen.hours[expected].tolist()
    assert found.languages[order].tolist() == chosen.languages[expected].tolist()
    assert set(found.workflows.tolist()) == {"chat"}
    for name in ("requests", "errors", "output_characters_sum", "output_characters_squares"):
        got, wanted = found.columns[name][order], chosen.columns[name][expected]
        assert got.tolist() == (2 * wanted).tolist(), name


def test_of_too_many_languages_those_with_the_most_requests_are_read(
    url: str, connection: ReadConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = traffic(np.random.default_rng(0), 1)
    rare = [
        msgspec.structs.replace(row, language=language)
        for row, language in zip(window_rows(sums.where(sums.languages == "ja"), "stable"),
                                 4 * ("de", "es", "fr", "pt", "it", "nl"), strict=True)
    ]  # fmt: skip
    store(url, [*window_rows(sums, "stable"), *rare])
    spans = [Hours(FIRST + 20, FIRST + 24), Hours(FIRST, FIRST + 4)]
    everything = hourly_sums(connection, "checkout", "stable", spans)
    assert (set(everything.languages), everything.left_out) == (
        {"en", "ja", "de", "es", "fr", "pt", "it", "nl"}, 0,
    )  # fmt: skip
    for most, languages, left_out in ((17, {"en", "ja"}, 6), (15, {"en"}, 7), (7, set(), 8)):
        monkeypatch.setattr(hourly_rows, "MAX_ROWS", most)
        found = hourly_sums(connection, "checkout", "stable", spans)
        assert (set(found.languages), found.left_out) == (languages, left_out)


def test_without_windows_there_is_nothing(connection: ReadConnection) -> None:
    assert hours_of_side(connection, "checkout", "stable") is None
    assert hourly_sums(connection, "checkout", "stable", [Hours(0, 5)]).hours.size == 0
