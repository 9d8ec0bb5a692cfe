"""Decisions in ClickHouse: all columns, and one row however often a decision comes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.alerting.samples import AT, CREATED_AT, ROLLOUT, decision, evidence
from understudy.schemas.decisions import Cause, CausingCommand, encode_decision
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import DECISIONS


@pytest.fixture
def client(clickhouse_url: str, clickhouse_database: str) -> Iterator[Client]:
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    yield client
    client.close()


def insert(client: Client, *decisions: tuple[str, int]) -> None:
    made = [decision(v, minute=m, alarming=(evidence(),)) for v, m in decisions]  # type: ignore[arg-type]
    block = decision_block([(one, encode_decision(one)) for one in made])
    client.raw_insert(DECISIONS, block.columns, block.payload, fmt="Native")


def test_a_decision_is_a_row(client: Client) -> None:
    insert(client, ("rollback", 3))
    (row,) = client.query(f"SELECT * FROM {DECISIONS} FINAL").named_results()
    assert json.loads(row.pop("decision"))["evidence"][0]["guardrail"] == "duration_p95"
    assert row.pop("decided_at").minute == 3
    assert row.pop("since").hour == AT.hour
    assert row.pop("rollout_created_at").hour == CREATED_AT.hour
    assert row == {
        "rollout_id": ROLLOUT,
        "sequence": 0,
        "cause": "",
        "cause_partition": None,
        "cause_offset": None,
        "command": "",
        "command_number": None,
        "command_by": "",
        "command_reason": "",
        "command_rejection": "",
        "is_refresh": False,
        "verdict": "rollback",
        "stage": "canary",
        "candidate_share": 0.0,
        "is_latched": True,
        "is_paused": False,
        "reasons": ["JSON validity in `ja` fell 9.1 points <!channel>"],
        "alerts": ["duration_p95 is slow"],
        "policy_hash": "abc",
        "partitions": {0: 41, 3: 7},
        "feedback_partitions": {2: 5},
        "evaluation_partitions": {},
    }


def test_the_same_decision_twice_is_one_row(client: Client) -> None:
    for _ in range(2):
        insert(client, ("hold", 0), ("rollback", 0), ("rollback", 1))
    count = f"SELECT count() FROM {DECISIONS} FINAL"
    assert client.query(count).result_rows == [(3,)]


def test_the_cause_and_the_command_are_columns(client: Client) -> None:
    cause = Cause(topic="rollouts", partition=3, offset=0, written_at=AT)
    command = CausingCommand(number=7, kind="promote", reason="fine", by="anna", at=AT)
    made = msgspec.structs.replace(
        decision(), cause=cause, command=command, rejections={6: "other", 7: "last stage"}
    )
    block = decision_block([(made, encode_decision(made))])
    client.raw_insert(DECISIONS, block.columns, block.payload, fmt="Native")
    names = "cause, cause_partition, cause_offset, command, command_number, command_by"
    query = f"SELECT {names}, command_reason, command_rejection FROM {DECISIONS} FINAL"
    assert client.query(query).result_rows == [
        ("rollouts", 3, 0, "promote", 7, "anna", "fine", "last stage")
    ]


def test_decisions_that_differ_by_their_place_alone_stay_apart_and_in_order(
    client: Client,
) -> None:
    """A hold like an earlier one, of the same time: an operator killed and resumed twice."""
    made = [
        decision(verdict, sequence=sequence)
        for sequence, verdict in enumerate(("hold", "rollback", "hold", "rollback", "hold"), 1)
    ]
    for one in reversed(made):
        block = decision_block([(one, encode_decision(one))])
        client.raw_insert(DECISIONS, block.columns, block.payload, fmt="Native")
    client.command(f"OPTIMIZE TABLE {DECISIONS} FINAL")
    query = f"SELECT sequence, verdict FROM {DECISIONS} FINAL ORDER BY rollout_created_at, sequence"
    assert client.query(query).result_rows == [(one.sequence, one.verdict) for one in made]


def test_no_decisions_are_no_rows() -> None:
    assert decision_block([]).rows == 0
