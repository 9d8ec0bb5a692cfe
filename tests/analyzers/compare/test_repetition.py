"""Answers that are caught in a loop."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.repetition import is_repetitive, repetitive

ROUNDS = {
    "word": "very ",
    "sentence": "You can return the order within thirty days of its arrival. ",
    "line": "- **Lieferung:** kostenlos\n",
    "paragraph": "The first step is to open the settings.\n\nThen choose your account there. " * 2,
    "Chinese": "您可以在三十天之内退货。",
    "kana": "フ",
    "code": "from cocotb.regression import TestResult\n",
    "JSON": '{"name": "", "value": [""]}, ',
    "emoji and text": "yes 👍 ",
}
PROSE = " ".join(
    f"{name} number {index} is kept in the {place} shelf of room {index * 7 % 13}."
    for index, (name, place) in enumerate(
        [("Box", "upper"), ("Crate", "lower"), ("Folder", "left"), ("Bag", "right")] * 12
    )
)


@pytest.mark.parametrize("kind", ROUNDS)
@pytest.mark.parametrize("cut_off", [0, 3])
def test_a_loop_at_the_end(kind: str, cut_off: int) -> None:
    loop = ROUNDS[kind] * (400 // len(ROUNDS[kind]) + 6)
    assert is_repetitive(loop)
    assert is_repetitive(PROSE[:300] + loop[: len(loop) - cut_off])


@pytest.mark.parametrize("length", [399, 401, 1_599, 1_601, 6_000])
def test_a_round_that_begins_with_the_same_passage_twice(length: int) -> None:
    """What recurs first is not the round; another place, or the length of a round, tells."""
    passage = "Please open the settings of your account first. "
    round_ = (passage * 2 + "Then choose what you want to be told about.")[: length // 5]
    assert is_repetitive((round_ * 60)[:length])


def test_rounds_so_long_that_the_text_has_too_few_of_them() -> None:
    round_ = PROSE[:300]
    assert not is_repetitive(round_ * 4)
    assert is_repetitive(round_ * 5)
    assert is_repetitive(PROSE[300:400] + round_ * 6)


def test_a_loop_that_the_model_leaves() -> None:
    assert is_repetitive(PROSE[:400] + ROUNDS["sentence"] * 30 + PROSE[:200])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no no no no no no",
        "ha" * 60,
        PROSE,
        ROUNDS["sentence"] * 3 + PROSE[:200],
        "-" * 500,
        "| --- | --- | --- |\n" * 30,
        "0, 0, 0, 0, " * 60,
        " " * 1_000,
        "\n".join(f"{n}. Step {n}: turn the wheel {n} times to the left." for n in range(40)),
    ],
)
def test_what_is_no_loop(text: str) -> None:
    assert not is_repetitive(text)


def test_random_words_are_no_loop() -> None:
    rng = random.Random(1)
    for _ in range(50):
        words = [rng.choice(["alpha", "beta", "gamma", "delta"]) for _ in range(300)]
        assert not is_repetitive(" ".join(words))


def test_answers_without_text_are_in_no_loop() -> None:
    assert repetitive([None, "", "ok", "ok then. " * 50]).tolist() == [False, False, False, True]
    assert repetitive([]).tolist() == []


@given(st.text(max_size=400))
def test_no_text_raises(text: str) -> None:
    is_repetitive(text)


@given(st.text("abc ", min_size=1, max_size=60), st.integers(0, 40))
def test_every_loop_of_letters_is_found(round_: str, offset: int) -> None:
    loop = round_ * (240 // len(round_) + 6)
    found = is_repetitive(PROSE[:offset] + loop)
    assert found or not any(map(str.isalpha, round_))


@pytest.mark.parametrize("text", ["a" * 1_000_000, "ab " * 300_000, PROSE * 300])
def test_a_megabyte_is_examined(text: str) -> None:
    assert is_repetitive(text)
