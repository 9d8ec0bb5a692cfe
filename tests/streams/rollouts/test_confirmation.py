"""A decision confirms a command by its effect."""

from __future__ import annotations

import msgspec

from tests.streams.rollouts.records import evaluator, killed
from understudy.schemas.decisions import Decision
from understudy.streams.rollouts.confirmation import is_confirmed

HOLDING = evaluator().decision()
KILLED = killed()


def at_stage(index: int) -> Decision:
    stage = msgspec.structs.replace(HOLDING.stage, index=index)
    return msgspec.structs.replace(HOLDING, stage=stage)


def test_without_a_decision_nothing_is_confirmed() -> None:
    assert not is_confirmed("kill", None, None)
    assert not is_confirmed("resume", KILLED, None)


def test_a_kill_is_confirmed_by_a_latched_rollback() -> None:
    assert is_confirmed("kill", None, KILLED)
    assert not is_confirmed("kill", None, HOLDING)


def test_a_resume_is_confirmed_when_nothing_is_latched_or_paused() -> None:
    assert is_confirmed("resume", KILLED, HOLDING)
    assert not is_confirmed("resume", KILLED, KILLED)
    paused = msgspec.structs.replace(HOLDING, is_paused=True)
    assert not is_confirmed("resume", KILLED, paused)


def test_a_promotion_is_confirmed_by_a_later_stage() -> None:
    assert is_confirmed("promote", at_stage(1), at_stage(2))
    assert not is_confirmed("promote", at_stage(1), at_stage(1))
    assert is_confirmed("promote", None, at_stage(1))
    assert not is_confirmed("promote", None, at_stage(0))
