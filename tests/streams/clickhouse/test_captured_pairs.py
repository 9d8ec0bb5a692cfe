"""Captured pairs in ClickHouse: what is written is read, the newest version counts, roles hold."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse.round_trip import insert
from understudy.streams.clickhouse import captured_pairs
from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide
from understudy.streams.clickhouse.captured_pairs import (
    MOST_READ,
    capture_counts,
    captured_block,
    worst_pairs,
)
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection

pytestmark = pytest.mark.embedded
NAME = "it's {a} %s 日本"
DATABASE = "test_captured_pairs"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def side(output: str = "", **changes: Any) -> CapturedSide:
    fields = {"is_there": True, "model": "m", "output": output, "output_characters": len(output)}
    return CapturedSide(**{**fields, **changes})


def pair(pair_id: str, rank: int = 1, version: int = 100, **changes: Any) -> CapturedPair:
    fields: dict[str, Any] = {
        "rollout_id": NAME, "mode": "shadow", "language": "ja", "workflow": "", "kind": "json",
        "window_start_ms": NOON_MS, "window_s": 10, "partition": 3, "rank": rank,
        "version": version, "pair_id": pair_id, "request_time_ms": NOON_MS + 1234,
        "capture": "worst", "severity": 1.0, "kinds": ["json", "length"], "similarity": 0.5,
        "expects": "json", "prompt": "猫 \u202e <b>'\\", "prompt_is_cut": False,
        "redacted": ["email"], "stable": side("yes", duration_ms=12.5),
        "candidate": side("\x00no", is_cut=True, tool_calls='[{"name":"a"}]', error_type="e"),
    }  # fmt: skip
    return CapturedPair(**{**fields, **changes})


@pytest.fixture(scope="module")
def client(clickhouse_url: str) -> Iterator[Client]:
    made = connect(clickhouse_url, database=DATABASE)
    migrate(made)
    yield made
    made.command(f"DROP DATABASE {DATABASE}")
    made.close()


@pytest.fixture
def connection(client: Client, clickhouse_url: str) -> Iterator[ReadConnection]:
    client.command("TRUNCATE TABLE captured_pairs")
    made = ReadConnection(f"{clickhouse_url}?database={DATABASE}")
    yield made
    made.close()


def put(client: Client, *pairs: CapturedPair) -> None:
    insert(client, captured_block(pairs))


def found(connection: ReadConnection, **wanted: Any) -> list[str]:
    return [one.pair_id for one in worst_pairs(connection, NAME, **{"limit": 10, **wanted})]


def test_what_is_written_is_read(client: Client, connection: ReadConnection) -> None:
    unmeasured = pair("b", 2, similarity=float("nan"), stable=CapturedSide(), severity=0.5)
    put(client, pair("a"), unmeasured)
    first, second = worst_pairs(connection, NAME, limit=10)
    assert first == pair("a", candidate=first.candidate)
    assert repr(first) == repr(pair("a"))
    assert repr(second) == repr(unmeasured)
    assert first.request_time == NOON + dt.timedelta(milliseconds=1234)


def test_same_place_again_is_one_row_and_the_higher_version_counts(
    client: Client, connection: ReadConnection
) -> None:
    put(client, pair("a"), pair("a"), pair("new", version=101))
    put(client, pair("a"))
    assert found(connection) == ["new"]


def test_questions_are_narrowed(client: Client, connection: ReadConnection) -> None:
    put(
        client,
        pair("a"),
        pair("b", language="en", kind="error", kinds=["error"]),
        pair("c", workflow="w", severity=0.5),
        pair("d", window_start_ms=NOON_MS + 60_000, severity=0.1),
        pair("other", rollout_id="other"),
    )
    assert found(connection)[2:] == ["c", "d"]
    assert found(connection, language="en") == ["b"]
    assert found(connection, workflow="w") == ["c"]
    assert set(found(connection, workflow="")) == {"a", "b", "d"}
    assert set(found(connection, kind="length")) == {"a", "c", "d"}
    assert found(connection, kind="length' OR 1 --") == []
    assert found(connection, pair_id="c") == ["c"]
    assert found(connection, since=NOON + dt.timedelta(seconds=10)) == ["d"]
    assert set(found(connection, until=NOON + dt.timedelta(seconds=10))) == {"a", "b", "c"}
    assert len(found(connection, limit=2)) == 2
    assert len(found(connection, limit=10 * MOST_READ)) == 4


def test_no_language_is_left_out_of_strata(
    client: Client, connection: ReadConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bad pairs of one language than are read."""
    monkeypatch.setattr(captured_pairs, "MOST_SAMPLED", 6)
    many = [pair(f"e{n}", n + 1, language="en", kind="error") for n in range(9)]
    few = [pair(f"j{n}", n + 1, severity=0.2 - n / 100) for n in range(3)]
    put(client, *many, *few, pair("other", language="ar", severity=0.1, workflow="w"))
    found = captured_pairs.pairs_by_stratum(connection, NAME, per_stratum=4)
    assert Counter(one.language for one in found) == {"en": 3, "ja": 2, "ar": 1}
    assert [one.pair_id for one in found if one.language == "ja"] == ["j0", "j1"]
    some = captured_pairs.pairs_by_stratum(connection, NAME, per_stratum=1)
    assert len(some) == 3


def test_what_there_is_to_choose_from_is_counted(
    client: Client, connection: ReadConnection
) -> None:
    put(client, pair("a"), pair("b", 2), pair("c", kind="none", kinds=[], severity=0.0))
    counts = capture_counts(connection, NAME, NOON, NOON + dt.timedelta(hours=1))
    assert {(one.language, one.kind): one.pairs for one in counts} == {
        ("ja", "json"): 2, ("ja", "length"): 2, ("ja", "none"): 1,
    }  # fmt: skip
    assert capture_counts(connection, NAME, NOON - dt.timedelta(hours=1), NOON) == []


def test_view_shows_what_is_worse(client: Client, connection: ReadConnection) -> None:
    put(client, pair("a"), pair("b", kind="none", kinds=[], severity=0.0))
    rows = client.query("SELECT pair_id, stable_output, prompt FROM worst_pairs").result_rows
    assert rows == [("a", "yes", "猫 \u202e <b>'\\")]


def test_documented_roles_are_sql(client: Client) -> None:
    """chDB has no users; its parser is the server's."""
    page = (Path(__file__).parents[3] / "docs" / "clickhouse.md").read_text("utf-8")
    section = page.partition("## Captured pairs")[2]
    sql = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)[0]
    statements = [one.strip() for one in sql.split(";") if one.strip()]
    assert len(statements) == 12
    for statement in statements:
        [(written,)] = client.query(
            "SELECT formatQuery({sql:String})", parameters={"sql": statement}
        ).result_rows
        assert written
