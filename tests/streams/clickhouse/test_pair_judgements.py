"""What evaluators said of captured pairs is found by pair, with what they explain."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from clickhouse_connect.driver.client import Client

from tests.analyzers.windows.test_quality_columns import judged, preferring, scored
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.test_captured_pairs import pair
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.redaction.redact import Redacted
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.clickhouse.pair_judgements import PairJudgement, read_judgements, said_of
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.pairing.clickhouse_results import evaluations_block, explanations_blocks
from understudy.streams.pairing.records import JudgedPair

AT_MS = to_epoch_ms(judged("a", error="timeout").request_time)


class _Connection:
    """One that is open already."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def rows(self, sql: str, parameters: dict[str, Any]) -> list[Any]:
        return list(self._client.query(sql, parameters=parameters).result_rows)


def read(client: Client, *pairs: CapturedPair) -> dict[str, list[PairJudgement]]:
    found = read_judgements(cast(ReadConnection, _Connection(client)), pairs)
    return {one.pair_id: list(said_of(one, found)) for one in pairs if said_of(one, found)}


def captured(pair_id: str, at_ms: int = AT_MS) -> CapturedPair:
    return dataclasses.replace(pair(pair_id), rollout_id="r", request_time_ms=at_ms)


def put(client: Client, *some: JudgedPair) -> None:
    insert(client, evaluations_block({3: some}))
    for explained in explanations_blocks({3: some}):
        insert(client, explained)


def test_what_was_said_of_a_pair_is_found_with_its_explanation(client: Client) -> None:
    put(
        client,
        JudgedPair(1, preferring("candidate", "tie"), Redacted("A is <b>", (), is_cut=True)),
        JudgedPair(2, scored(1.0, 4.0, "b", top=5.0)),
        JudgedPair(3, judged("c", error="unparseable"), Redacted("hm", (), is_cut=False)),
        JudgedPair(4, preferring("stable", pair_id="others")),
    )
    found = read(client, *map(captured, "abcd"))
    assert found.keys() == {"a", "b", "c"}
    ((a,), (b,), (c,)) = found.values()
    assert (a.evaluator, a.preference, a.explanation, a.is_cut) == (
        "helpfulness@1", 0.75, "A is <b>", True,
    )  # fmt: skip
    assert (b.stable_score, b.compared_score, b.highest_score, b.explanation) == (1.0, 4.0, 5.0, "")
    assert (c.error, c.preference, c.explanation) == ("unparseable", None, "hm")


def test_an_id_that_was_used_again_is_another_pair(client: Client) -> None:
    put(client, JudgedPair(1, preferring("tie")))
    assert read(client, captured("a", AT_MS + 86_400_000)) == {}
    assert read(client, captured("a", AT_MS + 4_000)).keys() == {"a"}, "sides differ by seconds"


def test_pairs_that_share_an_id_keep_apart_what_was_said(client: Client) -> None:
    put(client, JudgedPair(1, preferring("tie")))
    first, again = captured("a"), captured("a", AT_MS + 3_600_000)
    said = read_judgements(cast(ReadConnection, _Connection(client)), [first, again])
    assert [one.preference for one in said_of(first, said)] == [0.5]
    assert said_of(again, said) == ()


def test_without_pairs_nothing_is_asked(client: Client) -> None:
    assert read(client) == {}
