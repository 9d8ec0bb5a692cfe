"""How many rows are read; what ClickHouse answers is tested with traffic and with evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.streams.clickhouse import hourly_rows as module
from understudy.streams.clickhouse.hourly_rows import HourlyQuery, hourly_query, hourly_rows
from understudy.streams.clickhouse.read_connection import ReadConnection

QUERY = HourlyQuery("everything", "largest", "left out")
SPANS = [Hours(7, 10), Hours(2, 5), Hours(20, 21)]


class Stored:
    """Answers each statement with what is given, and keeps what it was asked."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, int]] = []
        self.given: Mapping[str, Any] = {}

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        self.asked.append((sql, parameters.get("start_ms", 0) // MS_OF_HOUR))
        self.given = parameters
        return self._answers[sql.replace(" ", "_")]


def read(stored: Stored) -> tuple[list[Any], int]:
    return hourly_rows(cast(ReadConnection, stored), QUERY, {"rollout_id": "r"}, SPANS)


@pytest.fixture(autouse=True)
def four_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 4)


def test_what_fits_is_read_at_once() -> None:
    stored = Stored(everything=[("en",)])
    assert read(stored) == ([("en",)] * 3, 0)
    assert stored.asked == [("everything", 7), ("everything", 2), ("everything", 20)]
    assert stored.given["rollout_id"] == "r"
    assert (stored.given["max_rows"], stored.given["most_rows"]) == (4, 3), "of the last span"


def test_of_what_does_not_fit_the_largest_is_read_and_how_many_are_not() -> None:
    stored = Stored(everything=[("en",), ("ja",), ("x",)], largest=[("en",)], left_out=[(9,)])
    assert read(stored) == ([("en",)] * 3, 9)
    questions = [sql for sql, _ in stored.asked]
    assert questions == ["everything"] * 2 + ["left out"] + ["largest"] * 3
    starts, ends = stored.given["starts_ms"], stored.given["ends_ms"]
    assert [Hours(a // MS_OF_HOUR, b // MS_OF_HOUR) for a, b in zip(starts, ends, strict=True)] == (
        SPANS
    ), "the same languages in all spans"


def test_the_largest_are_read_in_all_spans_though_traffic_grew_meanwhile() -> None:
    stored = Stored(everything=[("en",)] * 5, largest=[("en",)] * 3, left_out=[(9,)])
    assert read(stored) == ([("en",)] * 9, 9)
    assert [sql for sql, _ in stored.asked] == ["everything", "left out"] + ["largest"] * 3


def test_statements_read_all_parts_or_those_that_fit() -> None:
    query = hourly_query(lambda condition: f"SELECT 1 WHERE {condition}", "PARTS")
    assert query.everything == "SELECT 1 WHERE 1\nLIMIT {most_rows:UInt64}"
    assert query.largest.startswith("SELECT 1 WHERE (language, workflow) IN (")
    assert all("FROM (PARTS)" in sql for sql in (query.largest, query.left_out))
