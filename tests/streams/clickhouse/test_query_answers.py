"""The questions of docs/queries.md, on data whose answers are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse.known_data import DAYS, PARTITIONS, PRICE, ROLLOUT, N, fill, of
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[3] / "docs" / "queries.md"
ASKED = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", PAGE.read_text("utf-8"), re.M | re.S))
"""Question to query."""
Rows = list[dict[str, Any]]
EACH = N * PARTITIONS * DAYS
"""Requests of a language."""


@pytest.fixture(scope="module")
def known(clickhouse_url: str) -> Iterator[Client]:
    client = connect(clickhouse_url, database="test_query_answers")
    migrate(client)
    fill(client)
    yield client
    client.command("DROP DATABASE test_query_answers")
    client.close()


def healthy(rows: Rows) -> None:
    one = of(rows, rollout_id=ROLLOUT)
    assert (one["verdict"], one["pairs"]) == ("rollback", 2 * EACH)


def rolled_back(rows: Rows) -> None:
    assert [row["reason"] for row in rows] == ["JSON validity in `ja`: rollback"]


def worse(rows: Rows) -> None:
    one = of(rows, language="ja", metric="json_valid_rate")
    assert (one["delta"], one["decision_status"]) == (-0.0225, "breach")
    assert one["low"] < -0.0225 < one["high"] < 0
    found = {(row["language"], row["metric"]) for row in rows}
    assert ("en", "json_valid_rate") not in found
    assert {("en", "cost_usd"), ("ja", "duration"), ("ja", "feedback")} <= found


def worse_than_last_week(rows: Rows) -> None:
    """JSON is valid in 4 points less than stable's instead of 0.5, since answers are fenced."""
    assert [(row["what"], row["which"]) for row in rows] == [
        ("metric", "json_valid_rate"), ("JSON failure", "fenced"), ("JSON failure", "schema"),
    ]  # fmt: skip
    valid, fenced = of(rows, which="json_valid_rate"), of(rows, which="fenced")
    assert (valid["this_week"], valid["week_before"], valid["change"]) == (-4.0, -0.5, -3.5)
    assert (fenced["this_week"], fenced["week_before"], fenced["change"]) == (5.0, 1.5, 3.5)
    assert 0 < valid["plus_minus"] < 2


def began(rows: Rows) -> None:
    assert [row["candidate"] for row in rows] == [1.5] * 7 + [5.0] * 7


def looked_up(rows: Rows) -> None:
    ((state, pairs, examples),) = (tuple(row.values()) for row in rows)
    assert (state, pairs) == ("fenced", 4)
    assert set(examples) < {f"pair-{number}" for number in range(4)}


def fields(rows: Rows) -> None:
    assert {(row["language"], row["field"]) for row in rows} == {("en", "/total"), ("ja", "/total")}
    assert {row["beyond_noise"] for row in rows} == {0.1}


def answers_otherwise(rows: Rows) -> None:
    one = of(rows, language="en", metric="json_match")
    assert (one["stable_again"], one["candidate"]) == (0.95, 0.889)


def tool_calls(rows: Rows) -> None:
    one = of(rows, language="ja", change="broken")
    assert (one["stable"], one["candidate"], one["finding"]) == (0.0, 0.009, "worse")


def slower(rows: Rows) -> None:
    for row in rows:
        assert row["ratio"] == pytest.approx(1.5, abs=0.03)
        assert row["low"] <= row["ratio"] <= row["high"]


def would_cost(rows: Rows) -> None:
    for row in rows:
        assert (row["stable"], row["candidate"]) == (1000 * PRICE, 1250 * PRICE)
        assert (row["percent"], row["low"], row["high"]) == (25.0, 25.0, 25.0)


def costs_a_day(rows: Rows) -> None:
    assert [row["usd"] for row in rows] == [round(1.25 * PRICE * N * PARTITIONS * 2, 2)] * DAYS


def errors(rows: Rows) -> None:
    assert [tuple(row.values()) for row in rows] == [("timeout", 504, 2), ("overloaded", 529, 1)]


def liked(rows: Rows) -> None:
    assert [tuple(row.values()) for row in rows] == [
        (language, 100 * DAYS, 0.8, 0.7, "worse") for language in ("en", "ja")
    ]


def waits_for(rows: Rows) -> None:
    ((guardrail, where, status, units, harm, low, high, margin),) = (
        tuple(row.values()) for row in rows
    )
    assert (guardrail, where, status) == ("json_valid_rate", "language:ja", "breach")
    assert (units, harm, low, high, margin) == (28_000, 0.022, 0.018, 0.026, 0.01)


def decided(rows: Rows) -> None:
    assert [row["verdict"] for row in rows] == ["hold", "rollback"]


def events(rows: Rows) -> None:
    mirrored, rated = (of(rows, source=source) for source in ("events", "feedback"))
    windows = 2 * PARTITIONS * DAYS
    assert (mirrored["paired"], mirrored["unmatched"]) == (2 * N * windows, 4 * windows)
    assert (mirrored["late"], mirrored["duplicate"]) == (windows, 2 * windows)
    assert rated["events"] == 200 * 2 * DAYS


def partners(rows: Rows) -> None:
    assert [tuple(row.values()) for row in rows] == [("candidate", "timeout", "candidate-1", 2)]


def models(rows: Rows) -> None:
    assert [tuple(row.values()) for row in rows] == [
        ("candidate-1", 2 * EACH), ("stable-1", 2 * EACH),
    ]  # fmt: skip


def own_sums(rows: Rows) -> None:
    en, ja = (of(rows, language=language) for language in ("en", "ja"))
    assert en["pairs"] == ja["pairs"] == 3 * N * PARTITIONS
    low, high = ja["percentage_points"]
    assert low < -4.0 < high < 0
    assert en["percentage_points"][0] == -en["percentage_points"][1]


def nothing(rows: Rows) -> None:
    assert rows == []


CHECKS: dict[str, Callable[[Rows], None]] = {
    "How are all rollouts doing?": healthy,
    "Why was it rolled back?": rolled_back,
    "Where is the candidate worse, and may it be chance?": worse,
    "Is ja worse than last week, and why?": worse_than_last_week,
    "When did it begin?": began,
    "Which requests can I look up?": looked_up,
    "What did the worst pairs say?": nothing,
    "What does the judge hold against the candidate?": nothing,
    "Which JSON fields differ more than stable's own?": fields,
    "Does it answer otherwise than stable answers itself?": answers_otherwise,
    "Do tool calls break?": tool_calls,
    "How much slower is it?": slower,
    "What would it cost?": would_cost,
    "What does the rollout itself cost a day?": costs_a_day,
    "Which errors has the candidate alone?": errors,
    "Do users like it less?": liked,
    "What does the verdict still wait for?": waits_for,
    "What has been decided, and by whom?": decided,
    "Where did every event go?": events,
    "Whose partner never came?": partners,
    "Which models answered, and how often?": models,
    "How sure is a difference in sums of my own?": own_sums,
}


def test_every_question_has_an_answer() -> None:
    assert ASKED.keys() == CHECKS.keys()
    assert len(ASKED) >= 20


@pytest.mark.parametrize("question", CHECKS)
def test_the_answer_is_right(known: Client, question: str) -> None:
    CHECKS[question](list(known.query(ASKED[question]).named_results()))
