"""Reasoning at the beginning of a text is told from the answer."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.reasoning import split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>Two and two.</think>Four.", "Two and two.", "Four."),
        ("\n<think>\nTwo.\n</think>\n\nFour.", "Two.", "Four."),
        ("<THINKING>Two.</Thinking>Four.", "Two.", "Four."),
        ("<reasoning>Two.</reasoning> Four.", "Two.", "Four."),
        ("<think>Two and two are", "Two and two are", ""),
        ("<think></think>Four.", "", "Four."),
        ("Two and two.</think>\nFour.", "Two and two.", "Four."),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
    ],
)
def test_reasoning_is_taken_off(text: str, reasoning: str, answer: str) -> None:
    assert split_reasoning(text) == (reasoning, answer)


@pytest.mark.parametrize(
    "text",
    [
        "", "Four.", "<html><p>Four.</p></html>", "<thin>x</thin>", "I think <b>four</b>.",
        "Write <think> before and </think> after it.", "a < b", "</thinking",
    ],
)  # fmt: skip
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert split_reasoning(text) is None
