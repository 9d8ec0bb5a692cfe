"""Answers held against those before them, through a partition: which requests, which rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.streams.pairing.log import POLICY, Log, event
from understudy.analyzers.windows.rows import latest, total
from understudy.streams.pairing import earlier_answers
from understudy.streams.pairing.event_partition import Partition

GREETING = "Hello! How can I assist you today?"


def told(number: int) -> str:
    return f"Your order {number} was shipped and will arrive within {number} days."


def both(number: int, candidate: str = GREETING, stable: str = "", **changes: Any) -> list[bytes]:
    """A pair with a prompt of its own, ten requests a second."""
    fields = {"request": {"prompt": f"Where is order {number}?"}, **changes}
    return [
        event(f"p{number}", side, number / 10, **{"response": {"output": text}, **fields})
        for side, text in (("stable", stable or told(number)), ("candidate", candidate))
    ]


def counts(log: Log) -> tuple[int, int, int]:
    """Answers looked at, and how many of them are constant, stable's and the candidate's."""
    rows = total(latest(log.rows))
    assert rows.stable.constant_checked == rows.candidate.constant_checked
    return (
        rows.candidate.constant_checked,
        rows.stable.constant_answers,
        rows.candidate.constant_answers,
    )


def test_one_text_for_every_prompt() -> None:
    log = Log().read(*(one for number in range(20) for one in both(number)))
    assert counts(log) == (19, 0, 19)
    rows = total(latest(log.rows))
    assert rows.pair.constant_checked_both == rows.pair.constant_answer_only_candidate == 19


def test_batches_do_not_show() -> None:
    log = Log()
    for number in range(20):
        for one in both(number):
            log.read(one)
    assert counts(log) == (19, 0, 19)


def test_comparisons_have_it() -> None:
    (outcome,) = Log().read(*both(0), *both(1)).outcomes
    (some,) = outcome.comparisons
    assert some.candidate is not None
    assert some.stable is not None
    assert some.candidate.constant_answer.tolist() == [False, True]
    assert some.candidate.constant_checked.tolist() == [False, True]
    assert some.stable.constant_answer.tolist() == [False, False]


def test_without_prompts_every_request_is_another() -> None:
    log = Log().read(*(one for number in range(20) for one in both(number, request=None)))
    assert counts(log) == (19, 0, 19)


def test_one_question_that_is_asked_all_the_time() -> None:
    asked = {"request": {"prompt": "What are your hours?"}}
    log = Log().read(*(one for number in range(20) for one in both(number, **asked)))
    assert counts(log) == (0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"response": None, "error": {"type": "timeout"}},
        {"response": {"output": "  "}},
        {"response": {"output": GREETING, "cache_hit": True}},
    ],
)
def test_no_answer_of_the_model_is_held_against_anything(changes: dict[str, Any]) -> None:
    log = Log().read(*(one for number in range(20) for one in both(number, **changes)))
    assert counts(log) == (0, 0, 0)


def test_features_and_rollouts_are_apart() -> None:
    log = Log()
    log.read(*both(0, workflow="a"), *both(1, workflow="b"), *both(2, workflow="a", rollout_id="x"))
    assert counts(log) == (0, 0, 0)
    assert counts(log.read(*both(3, workflow="a"), *both(4, workflow="b"))) == (2, 0, 2)


def test_languages_are_not() -> None:
    log = Log().read(*both(0, language="de"), *both(1, language="ja"))
    assert counts(log) == (1, 0, 1)


def test_sides_that_are_alone() -> None:
    def alone(number: int, side: str, text: str) -> bytes:
        answer = {"response": {"output": text}, "mode": "canary", "sides": [side]}
        return event(f"{side}{number}", side, number / 10, **answer)

    log = Log().read(*(alone(number, "candidate", GREETING) for number in range(20)))
    log.read(*(alone(number, "stable", told(number)) for number in range(20)))
    rows = total(latest(log.rows))
    assert (rows.candidate.constant_checked, rows.candidate.constant_answers) == (19, 19)
    assert (rows.stable.constant_checked, rows.stable.constant_answers) == (19, 0)


def test_no_further_back_than_the_join_looks() -> None:
    log = Log().read(*both(0), *both(300), *both(601))
    assert counts(log) == (1, 0, 1)
    size = sum(map(len, both(0)))
    for reach, checked in ((size, 1), (size - 1, 0)):
        policy = dataclasses.replace(POLICY, max_join_bytes=reach)
        assert counts(Log(policy).read(*both(0), *both(1)))[0] == checked


def test_a_request_that_waits_for_a_further_attempt_is_left_out() -> None:
    failed = {"response": None, "error": {"type": "timeout"}, "fallback": {"attempts": 1}}
    stable, candidate = both(1)
    first = event("p1", "stable", 0.1, request={"prompt": "Where is order 1?"}, **failed)
    log = Log().read(*both(0), first, candidate, stable, *both(2))
    assert counts(log)[0] == 1


def test_what_lies_too_far_back_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier_answers, "FEWEST_KEPT", 8)
    log = Log()
    for number in range(0, 4_000, 10):
        log.read(*both(number, workflow=str(number)))
    assert isinstance(log.state, Partition)
    assert len(log.state.earlier_answers) <= 2 * 61 + 8
