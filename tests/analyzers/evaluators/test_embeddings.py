"""Similarity and relevance by vectors, here of letters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from understudy.analyzers.evaluators.embeddings import (
    MAX_CHARACTERS,
    cosines,
    embedding_evaluators,
)
from understudy.analyzers.evaluators.scoring import Answers

SEEN: list[str] = []


def letters(texts: list[str]) -> NDArray[np.float32]:
    """How often each letter of a small alphabet occurs."""
    SEEN.extend(texts)
    return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32)


def answers(stable: str, candidate: str, language: str = "en", *, json: bool = False) -> Answers:
    return Answers("a", stable, candidate, "a", json, language)


def test_similarity_is_the_cosine() -> None:
    assert cosines(letters, "a", "aa", "ab", "b") == pytest.approx([1.0, 2**-0.5, 0.0])


def test_blank_texts_and_unknown_words() -> None:
    assert cosines(letters, "a", " ", "zzz") == [0.0, 0.0]
    assert cosines(letters, " ", "a") == [None]
    assert cosines(letters, "zzz", "a") == [None]


def test_opposites_are_no_less_than_unlike() -> None:
    signs = {"up": [1.0], "down": [-1.0]}
    found = cosines(lambda texts: np.array([signs[t] for t in texts], np.float32), "up", "down")
    assert found == [0.0]


def test_long_texts_are_cut() -> None:
    SEEN.clear()
    cosines(letters, "a" * 2 * MAX_CHARACTERS, "b")
    assert max(map(len, SEEN)) == MAX_CHARACTERS


def test_both_answers_are_scored() -> None:
    evaluators = embedding_evaluators(letters)
    for name in ("similarity@1", "relevance@1"):
        scores = evaluators[name].score(answers("aa", "ab"))
        assert scores is not None
        assert tuple(scores) == pytest.approx((1.0, 2**-0.5))
    assert evaluators["similarity@1"].needs_control
    assert not evaluators["relevance@1"].needs_control


@pytest.mark.parametrize(
    ("language", "similar", "relevant"),
    [
        ("en-GB", True, True),
        ("zh-Hant", True, True),
        ("ja", True, False),
        ("he", False, False),
        ("und", False, False),
        ("sw", False, False),
    ],
)
def test_they_speak_of_the_languages_they_were_measured_in(
    language: str, similar: bool, relevant: bool
) -> None:
    evaluators = embedding_evaluators(letters)
    one = answers("a", "b", language)
    assert (evaluators["similarity@1"].score(one) is not None) is similar
    assert (evaluators["relevance@1"].score(one) is not None) is relevant


def test_json_is_left_to_the_agreement_of_fields() -> None:
    for evaluator in embedding_evaluators(letters).values():
        assert evaluator.score(answers("a", "b", json=True)) is None
