"""Evaluations are stored as they were written, and added up by day with their noise and price."""

from __future__ import annotations

import math

import pytest
from clickhouse_connect.driver.client import Client

from tests.analyzers.windows.test_quality_columns import judged, preferring, scored
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.test_captured_pairs import pair
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.redaction.redact import Redacted
from understudy.streams.clickhouse.captured_pairs import captured_block
from understudy.streams.clickhouse.tables import EVALUATIONS
from understudy.streams.pairing.clickhouse_results import evaluations_block, explanations_blocks
from understudy.streams.pairing.records import JudgedPair


def put(client: Client, *evaluations: Evaluation) -> None:
    pairs = [JudgedPair(offset, one) for offset, one in enumerate(evaluations)]
    insert(client, evaluations_block({3: pairs}))


def rows(client: Client, columns: str, table: str = EVALUATIONS) -> list[tuple[object, ...]]:
    order = "offset" if table == EVALUATIONS else "evaluator"
    return list(client.query(f"SELECT {columns} FROM {table} ORDER BY {order}").result_rows)


def test_a_record_is_a_row(client: Client) -> None:
    put(
        client,
        preferring("candidate", "tie", language="zh-CN", workflow="chat", turn=2,
                   conversation_id="c", usage={"input_tokens": 7, "cost_usd": 0.25}, model="m",
                   duration_ms=9, sampling_share=0.05),
        scored(1.0, 4.0, "b", top=5.0),
        judged("c", error="timeout"),
    )  # fmt: skip
    found = rows(client, "pair_id, evaluator, compared, preference, preferred, shown_first, error")
    name = "helpfulness@1"
    assert found == [
        ("a", name, "candidate", 0.75, ["candidate", "tie"], ["stable", "candidate"], ""),
        ("b", name, "candidate", None, [], [], ""),
        ("c", name, "candidate", None, [], [], "timeout"),
    ]
    assert rows(client, "stable_score, compared_score, lowest_score, highest_score")[1] == (
        1.0, 4.0, 0.0, 5.0,
    )  # fmt: skip
    first, second, _ = rows(
        client, "language, workflow, conversation_id, turn, input_tokens, output_tokens, cost_usd, "
        "duration_ms, sampling_share, model, partition, offset",
    )  # fmt: skip
    assert first == ("zh-Hans", "chat", "c", 2, 7, None, 0.25, 9.0, 0.05, "m", 3, 0)
    assert second == ("und", "", "", 0, None, None, None, None, 1.0, "", 3, 1)


def test_the_same_record_twice_is_one_row(client: Client) -> None:
    for _ in range(2):
        put(client, preferring("tie"))
    assert client.query(f"SELECT count() FROM {EVALUATIONS} FINAL").result_rows == [(1,)]


def test_quality_adds_up_by_day(client: Client) -> None:
    control = [{"preferred": "control", "first": "control"}]
    put(
        client,
        *(preferring("candidate", pair_id=f"a{n}", usage={"cost_usd": 0.5}) for n in range(30)),
        *(preferring("stable", pair_id=f"b{n}") for n in range(70)),
        judged("c", compared="control", preferences=control),
        judged("d", error="unparseable", usage={"cost_usd": 1.0}),
    )
    (row,) = rows(
        client, "pairs, candidate_preferred, approx_preferred_low, approx_preferred_high, "
        "score_difference, control_pairs, control_preferred, first_preferred, not_judged, cost_usd",
        "answer_quality",
    )  # fmt: skip
    pairs, preferred, low, high, score, *others = row
    assert (pairs, preferred, score) == (100, 0.3, None)
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low < 0.3 < high
    half = 1.96 * math.sqrt(0.3 * 0.7 / 99)
    assert high - 0.3 > half, "an interval that holds at every look is wider"
    assert others == [1, 1.0, pytest.approx(71 / 101), 1, 16.0]


def test_three_pairs_prove_nothing(client: Client) -> None:
    """All alike so far, which says little of those to come."""
    put(client, *(preferring("candidate", "candidate", pair_id=f"a{n}") for n in range(3)))
    put(client, *(scored(1.0, 4.0, f"s{n}", top=5.0) for n in range(3)))
    columns = "approx_preferred_low, approx_preferred_high, approx_score_low, approx_score_high"
    ((low, high, score_low, score_high),) = rows(client, columns, "answer_quality")
    assert low < 0.5 < high  # type: ignore[operator]
    assert score_low < 0 < score_high  # type: ignore[operator]


def test_what_was_said_in_words_stands_beside_who_said_it_when_and_at_what_price(
    client: Client,
) -> None:
    said = preferring("candidate", "tie", usage={"cost_usd": 0.25}, model="m", language="ja")
    pairs = [
        JudgedPair(7, said, Redacted("A names [email].", ("email",), is_cut=True)),
        JudgedPair(8, preferring("stable", pair_id="b")),
    ]
    for _ in range(2):
        insert(client, evaluations_block({3: pairs}))
        (explained,) = explanations_blocks({3: pairs})
        insert(client, explained)
    insert(client, captured_block([pair("a", rollout_id="r")]))
    found = rows(client, "pair_id, explanation, is_cut, redacted", "explanations FINAL")
    assert found == [("a", "A names [email].", True, ["email"])]
    columns = (
        "pair_id, preference, explanation, model, cost_usd, prompt, stable_output, language, "
        "toUnixTimestamp(evaluation_time)"
    )
    sql = f"SELECT {columns} FROM judged_pairs WHERE rollout_id = 'r' ORDER BY pair_id"
    assert list(client.query(sql).result_rows) == [
        ("a", 0.75, "A names [email].", "m", 0.25, "猫 \u202e <b>'\\", "yes", "ja", 1772452800),
        ("b", 0.0, "", "", None, "", "", "und", 1772452800),
    ]


def test_without_words_nothing_is_inserted() -> None:
    assert explanations_blocks({3: [JudgedPair(1, preferring("tie"))], 4: []}) == []
