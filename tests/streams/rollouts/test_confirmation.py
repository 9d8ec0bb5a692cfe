"""A decision answers a command by its number."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.streams.rollouts.records import evaluator
from understudy.schemas.rollout_records import Command
from understudy.streams.rollouts.confirmation import is_answered, rejection_of

AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
COMMAND = Command(number=3, kind="promote", at=AT)
DECISION = evaluator().decision()


def test_without_a_decision_nothing_is_answered() -> None:
    assert not is_answered(COMMAND, None)
    assert rejection_of(COMMAND, None) == ""


def test_a_command_is_answered_by_its_own_decision_and_those_after_it() -> None:
    for last, expected in ((2, False), (3, True), (9, True)):
        decision = msgspec.structs.replace(DECISION, last_command=last)
        assert is_answered(COMMAND, decision) is expected


def test_a_rejection_says_why_also_when_others_have_come_after_it() -> None:
    rejected = msgspec.structs.replace(DECISION, last_command=4, rejections={3: "last stage"})
    assert is_answered(COMMAND, rejected)
    assert rejection_of(COMMAND, rejected) == "last stage"
    assert rejection_of(msgspec.structs.replace(COMMAND, number=4), rejected) == ""
