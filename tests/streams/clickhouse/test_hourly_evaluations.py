"""What evaluators said by the hour, as the table of evaluations has it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.analyzers.windows.test_quality_columns import judged, preferring
from tests.streams.clickhouse.round_trip import insert
from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import Side
from understudy.streams.clickhouse import hourly_evaluations as module
from understudy.streams.clickhouse import hourly_rows
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.hourly_evaluations import hourly_evaluations
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.pairing.clickhouse_results import evaluations_block
from understudy.streams.pairing.records import JudgedPair

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
HOUR = to_epoch_ms(NOON) // MS_OF_HOUR
SPANS = [Hours(HOUR, HOUR + 2), Hours(HOUR + 3, HOUR + 4)]


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> Iterator[str]:
    name = "test_hourly_evaluations"
    client = connect(clickhouse_url, database=name)
    migrate(client)
    put(client, [one for hours in (0, 1, 2, 3) for one in _an_hour(hours)])
    yield f"{clickhouse_url}?database={name}"
    client.command(f"DROP DATABASE {name}")
    client.close()


def put(client: Client, some: list[Evaluation]) -> None:
    block = evaluations_block({0: [JudgedPair(offset, one) for offset, one in enumerate(some)]})
    for _ in range(2):  # a replay writes again
        insert(client, block)


def _an_hour(hours: int) -> list[Evaluation]:
    """Two pairs that are scored, one with a preference, and three that say nothing of a side."""
    at: dict[str, Any] = {
        "request_time": (NOON + dt.timedelta(hours=hours)).isoformat(),
        "language": "ja", "workflow": "chat",
    }  # fmt: skip
    scores = [
        judged(f"{name}{hours}", evaluator="scores", score_range=[1, 5],
               scores={"stable": 5, "candidate": candidate}, **at)
        for name, candidate in (("a", 1), ("b", 3))
    ]  # fmt: skip
    control = judged(f"a{hours}", compared="control", evaluator="scores", score_range=[1, 5],
                     scores={"stable": 5, "control": 1}, **at)  # fmt: skip
    return [
        *scores, control, judged(f"c{hours}", error="timeout", **at),
        preferring("stable", "tie", pair_id=f"a{hours}", **at),
        judged(f"a{hours}", rollout_id="other", preferences=[{"preferred": "tie"}], **at),
    ]  # fmt: skip


def read(url: str, side: Side) -> HourlySums:
    connection = ReadConnection(url)
    try:
        return hourly_evaluations(connection, "r", side, SPANS)
    finally:
        connection.close()


def told(sums: HourlySums, name: str) -> list[tuple[int, float, float, float]]:
    (metric,) = (one for one in sums.metrics if one.name == name)
    number, total, squares = metric.sums(sums.columns)
    return sorted(
        (int(hour) - HOUR, n, t, q)
        for hour, n, t, q in zip(sums.hours, number, total, squares, strict=True)
        if n
    )


def test_scores_are_shares_of_their_range_and_preferences_are_the_candidates(url: str) -> None:
    candidate = read(url, "candidate")
    scores = told(candidate, "quality_score(scores@1)")
    assert scores == [(hour, 2.0, 0.5, 0.25) for hour in (0, 1, 3)], "one hour is in no span"
    preferences = told(candidate, "quality_preference(helpfulness@1)")
    assert preferences == [(hour, 1.0, 0.25, 0.0625) for hour in (0, 1, 3)]
    assert set(candidate.languages.tolist()) == {"ja"}
    assert set(candidate.workflows.tolist()) == {"chat"}
    stable = read(url, "stable")
    assert told(stable, "quality_score(scores@1)") == [(hour, 2.0, 2.0, 2.0) for hour in (0, 1, 3)]
    assert not any("preference" in one.name for one in stable.metrics)


def test_those_that_judged_most_are_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = module._EVALUATORS.replace(f"LIMIT {module.MAX_EVALUATORS}", "LIMIT 1")
    monkeypatch.setattr(module, "_EVALUATORS", one)
    assert {metric.name for metric in read(url, "stable").metrics} == {"quality_score(scores@1)"}


def test_of_too_many_languages_those_that_were_judged_most_are_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(url, "stable").left_out == 0
    monkeypatch.setattr(hourly_rows, "MAX_ROWS", 5)
    found = read(url, "stable")
    assert (found.hours.size, found.left_out) == (0, 1), "six rows, as two judged in three hours"


def test_without_evaluations_there_is_nothing(url: str) -> None:
    connection = ReadConnection(url)
    found = hourly_evaluations(connection, "unknown", "stable", SPANS)
    connection.close()
    assert (found.hours.size, found.metrics, found.columns) == (0, (), {})
