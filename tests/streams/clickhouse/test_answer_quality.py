"""What evaluators said is added up as the view does it, of all languages and of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.analyzers.windows.test_quality_columns import judged, preferring, scored
from tests.streams.clickhouse.test_evaluation_rows import put
from understudy.schemas.api import AnswerQuality
from understudy.schemas.evaluations import Evaluation
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.read_connection import ReadConnection

pytestmark = pytest.mark.embedded
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def connection(client: Client, clickhouse_url: str) -> Iterator[ReadConnection]:
    made = ReadConnection(f"{clickhouse_url}?database={client.database}")
    yield made
    made.close()


def figures(connection: ReadConnection, rollout_id: str = "r") -> list[AnswerQuality]:
    return read_answer_quality(connection, rollout_id, NOON, NOON + HOUR).evaluators


def control(pair_id: str, preferred: str, **more: Any) -> Evaluation:
    first = {"preferred": preferred, "first": "stable"}
    return judged(pair_id, compared="control", preferences=[first], **more)


def test_each_evaluator_of_all_languages_and_of_each(
    client: Client, connection: ReadConnection
) -> None:
    put(
        client,
        *(preferring("candidate", pair_id=f"a{n}", language="en", model="m",
                     usage={"cost_usd": 0.01}) for n in range(30)),
        *(preferring("stable", pair_id=f"b{n}", language="ja") for n in range(60)),
        *(preferring("tie", "candidate", pair_id=f"c{n}", language="ja") for n in range(10)),
        control("d", "control", language="ja"), control("e", "stable", language="ja"),
        judged("f", language="ja", error="timeout", usage={"cost_usd": 0.5}),
        *(judged(f"g{n}", language="ja", error="unparseable") for n in range(2)),
        preferring("tie", pair_id="earlier", request_time="2026-03-02T11:59:59Z"),
        preferring("tie", pair_id="later", request_time="2026-03-02T13:00:00Z"),
        *(scored(1.0, 4.0, f"s{n}", top=5.0) for n in range(3)),
    )  # fmt: skip
    found = figures(connection)
    # The scores are of the same evaluator, and of no language.
    assert [(one.language, one.pairs) for one in found] == [
        (None, 103), ("ja", 70), ("en", 30), ("und", 3),
    ]  # fmt: skip
    together, ja, en, und = found
    assert (together.preferences, together.preferred) == (100, pytest.approx(0.375))
    assert together.cost_usd == pytest.approx(0.8)
    assert together.models == ["m"]
    low, high = ja.preferred_interval
    assert ja.preferred == pytest.approx(7.5 / 70)
    assert low is not None
    assert high is not None
    assert low < 7.5 / 70 < high < 0.5
    assert (ja.control_pairs, ja.control_preferred, ja.tied) == (2, 0.5, 0.0)
    assert (ja.both_orders, ja.both_orders_alike) == (10, 0.0)
    assert (ja.orders, ja.first_preferred) == (72, pytest.approx(61 / 72 + 10 / 72))
    assert ja.not_judged == {"unparseable": 2, "timeout": 1}
    assert (en.preferred, en.not_judged, en.cost_usd) == (1.0, {}, pytest.approx(0.3))
    assert (und.scores, und.stable_score, und.candidate_score) == (3, 1.0, 4.0)
    assert (und.score_difference, und.preferred) == (pytest.approx(0.6), None)


def test_one_pair_has_no_interval_and_nothing_has_no_row(
    client: Client, connection: ReadConnection
) -> None:
    put(client, preferring("candidate"))
    together, _ = figures(connection)
    assert (together.preferred, together.preferred_interval) == (1.0, (None, None))
    assert (together.score_difference, together.control_preferred) == (None, None)
    assert (together.first_preferred, together.both_orders_alike) == (0.0, None)
    assert figures(connection, "another") == []
