"""Rollouts as a table, a page, a line and JSON."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from rich.console import Console, RenderableType

from tests.streams.rollouts.records import killed, manifest
from understudy.schemas.rollout_records import Command, RolloutRecord
from understudy.streams.rollouts.rollout_status import status_of
from understudy.streams.terminal.rollout_pages import (
    rollout_json,
    rollout_page,
    rollouts_table,
    verdict_line,
)

RECORD = RolloutRecord(manifest=manifest())
KILLED = killed()


def printed(what: RenderableType) -> str:
    screen = io.StringIO()
    Console(file=screen, width=160, color_system=None).print(what)
    return screen.getvalue()


def test_a_rollout_without_a_decision_waits() -> None:
    text = printed(rollout_page(RECORD, None))
    assert "rollout_id: checkout" in text
    assert "WAITING  no decision yet" in text
    lines = [
        line.split() for line in printed(rollouts_table([status_of(RECORD, None)])).split("\n")
    ]
    assert ["checkout", "shadow", "waiting", "–", "–"] in lines


def test_a_decision_of_an_earlier_policy_says_so() -> None:
    text = printed(rollout_page(RECORD, msgspec.structs.replace(KILLED, policy_hash="other")))
    assert "the decision below was made under an earlier policy" in text
    assert text.index("earlier policy") < text.index("ROLLBACK")


def test_the_newest_commands_come_first() -> None:
    commands = tuple(
        Command(number=n, kind="resume", reason=f"reason {n}", by="anna", at=KILLED.decided_at)
        for n in range(1, 13)
    )
    record = msgspec.structs.replace(RECORD, commands=commands)
    text = printed(rollout_page(record, None))
    assert text.index("reason 12") < text.index("reason 11")
    assert "reason 2 " not in text, "only the newest ten are shown"


@pytest.mark.parametrize("reasons", [["killed by anna: tone"], []])
def test_a_verdict_on_one_line(reasons: list[str]) -> None:
    line = verdict_line(msgspec.structs.replace(KILLED, reasons=reasons))
    assert line == ": ".join(["checkout", "rollback, stage shadow, candidate 0 %", *reasons])


def test_json_is_the_record_and_the_decision() -> None:
    document = rollout_json(RECORD, KILLED)
    assert json.loads(json.dumps(document))
    assert document["record"]["manifest"]["rollout_id"] == "checkout"
    assert document["decision"]["verdict"] == "rollback"
    assert rollout_json(RECORD, None)["decision"] is None
