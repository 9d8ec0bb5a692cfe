"""All rollouts on a terminal: what needs an operator is seen at once, at any width."""

from __future__ import annotations

import datetime as dt
import io

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.streams.demo.decisions import AT, ROLLED_BACK, decision
from tests.streams.http.views import policy
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.rollouts.attention import by_attention
from understudy.streams.rollouts.rollout_status import policy_in, status_of
from understudy.streams.terminal.status_screen import MAX_WIDTH, StatusScreen

NOW = AT + dt.timedelta(minutes=1)


def named(name: str, found: Decision | None, **changes: object) -> tuple[RolloutRecord, Decision]:
    record = RolloutRecord(manifest=msgspec.structs.replace(policy(), rollout_id=name))
    made = {"rollout_id": name, "policy_hash": policy_in(record).hash, **changes}
    return record, msgspec.structs.replace(found or decision(), **made)


def printed(*some: tuple[RolloutRecord, Decision], width: int = 80, problem: str = "") -> str:
    rows = by_attention([status_of(*one) for one in some], NOW)
    decisions = {record.manifest.rollout_id: made for record, made in some}
    screen = io.StringIO()
    console = Console(file=screen, width=width, color_system=None)
    console.print(StatusScreen(rows, decisions, NOW, problem))
    return screen.getvalue()


def test_what_needs_an_operator_comes_first_with_what_to_do() -> None:
    text = printed(named("fine", None), named("broken", ROLLED_BACK))
    assert text.startswith("2 rollouts · 1 needs you ")
    assert f"{NOW:%H:%M:%S} UTC" in text.splitlines()[0]
    assert text.index("✕ rollback broken") < text.index("– hold     fine")
    assert "  → Find the cause, then resume it or delete it" in text
    assert "50 % of what stage shadow needs" in text, "4,000 of 8,000 requests"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    name = "support-要約-" + "x" * 30
    text = printed(named(name, ROLLED_BACK), named("fine", None), width=width)
    for line in text.splitlines():
        assert cell_len(line) <= min(width, MAX_WIDTH)
    assert "x" * 30 in "".join(text.split())


def test_long_reasons_are_cut_to_two_lines() -> None:
    text = printed(named("a", ROLLED_BACK, reasons=["word " * 100]))
    reason = [line for line in text.splitlines() if "word" in line]
    assert len(reason) == 2
    assert reason[1].endswith("…")


def test_names_and_reasons_act_on_no_terminal() -> None:
    text = printed(named("a\x1b[2J", ROLLED_BACK, reasons=["\x1b]0;owned\x07"]))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "a\\x1b[2J" in text


def test_when_all_is_well_it_says_so_and_a_problem_is_shown() -> None:
    assert printed(named("fine", None)).startswith("1 rollout · none needs you")
    assert "Not up to date" in printed(problem="Not up to date: no broker")
