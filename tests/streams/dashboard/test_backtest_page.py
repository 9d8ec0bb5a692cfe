"""What the page of a backtest shows."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.streams.demo.decisions import AT, ROLLED_BACK, decision
from understudy.streams.dashboard.backtest_page import MAX_DECISIONS, StoredTrial, backtest_page

HOLD = decision("hold")
LATER = msgspec.structs.replace(ROLLED_BACK, decided_at=AT + dt.timedelta(minutes=6))


def test_when_what_would_have_been_decided() -> None:
    page = backtest_page(StoredTrial([HOLD, LATER], LATER, 5_000, 12))
    assert page.summary == "It would have rolled the candidate back after 6 min."
    assert [(step.after, step.verdict) for step in page.steps] == [
        ("0 s", "hold"), ("6 min", "rollback"),
    ]  # fmt: skip
    assert page.together
    assert page.notes[0].startswith("5,000 window rows were judged.")
    assert page.notes[1] == "12 of them had not closed yet."


def test_a_hold_is_no_decision_and_a_promotion_is_one() -> None:
    assert backtest_page(StoredTrial([HOLD], HOLD, 1, 0)).summary == (
        "It would have decided nothing yet."
    )
    promoted = msgspec.structs.replace(HOLD, verdict="promote")
    assert backtest_page(StoredTrial([], promoted, 1, 0)).summary == (
        "It would have promoted the candidate."
    )


def test_a_policy_that_cannot_decide_fills_no_page() -> None:
    page = backtest_page(StoredTrial([HOLD] * (MAX_DECISIONS + 7), HOLD, 1, 0))
    assert len(page.steps) == MAX_DECISIONS
    assert page.notes[-1] == "7 later decisions are not listed."
