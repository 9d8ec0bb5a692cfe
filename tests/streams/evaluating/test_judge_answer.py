"""What a judge answers is read strictly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.evaluating.judge_answer import (
    MAX_ANSWER_CHARACTERS,
    UnreadableJudgement,
    judgement_of,
    read_judgement,
)
from understudy.streams.evaluating.judge_model import JudgeReply

GOOD = '{"reason": "A is right", "better": "A"}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"```json \t\n\n{GOOD}\n\n```",
        f"<think>B looks {{nice}}</think>\n\n{GOOD}",
        '{"better": "A", "reason": ""}',
    ],
)
def test_one_judgement(text: str) -> None:
    assert read_judgement(text).better == "A"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "A",
        "I prefer A.",
        f"{GOOD} I am sure.",
        f"Here it is: {GOOD}",
        f"{GOOD}\n{GOOD}",
        f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```",
        '{"better": "A"}',
        '{"reason": "x", "better": "a"}',
        '{"reason": "x", "better": "C"}',
        '{"reason": "x", "better": ["A"]}',
        '{"reason": "x", "better": "A", "also": "B"}',
        '{"reason": "x", "better": "A"',
        "<think>never ends",
        "[" * 100_000,
        '{"reason": "' + "x" * MAX_ANSWER_CHARACTERS + '", "better": "A"}',
        "\ud800",
        "null",
        "```" + "\n" * (MAX_ANSWER_CHARACTERS - 4) + "x",
    ],
)
def test_anything_else_is_no_judgement(text: str | None) -> None:
    with pytest.raises(UnreadableJudgement):
        read_judgement(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(UnreadableJudgement):
        read_judgement(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "r", "better": "A", "better": "B"}',
        '{"better": "B", "reason": "r", "better": "B"}',
        '{"reason": "r", "better": "A", "bett\\u0065r": "B"}',
    ],
)
def test_an_answer_that_says_something_twice_says_nothing(text: str) -> None:
    with pytest.raises(UnreadableJudgement, match="twice"):
        read_judgement(text)


def test_an_answer_that_was_cut_off_says_so() -> None:
    """Models that reason come to no end within a limit for others."""
    cut = JudgeReply('{"reason": "A is', is_cut=True)
    with pytest.raises(UnreadableJudgement) as error:
        judgement_of(cut)
    assert error.value.reason == "cut_off"
    with pytest.raises(UnreadableJudgement) as error:
        judgement_of(JudgeReply("A."))
    assert error.value.reason == "unparseable"
    whole = JudgeReply('{"reason": "", "better": "A"}', is_cut=True)
    assert judgement_of(whole).better == "A", "the limit fell on its end"
