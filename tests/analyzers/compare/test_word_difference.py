"""Words that differ, in scripts with and without spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.word_difference import (
    MAX_TOKENS,
    Run,
    tokens,
    word_difference,
)


def marked(stable: str, candidate: str) -> tuple[str, str]:
    """Both texts with what is changed in brackets."""
    found = word_difference(stable, candidate)

    def written(runs: list[Run]) -> str:
        return "".join(f"[{run.text}]" if run.is_changed else run.text for run in runs)

    return written(found.stable), written(found.candidate)


@pytest.mark.parametrize(
    ("stable", "candidate", "left", "right"),
    [
        ("a cat sat", "a dog sat", "a [cat] sat", "a [dog] sat"),
        ("it was so", "it was so", "it was so", "it was so"),
        ("one two three four", "one 2 3 four", "one [two three] four", "one [2 3] four"),
        ("駅は右です", "駅は左です", "駅は[右]です", "駅は[左]です"),
        ("您的订单已发货", "您的订单未发货", "您的订单[已]发货", "您的订单[未]发货"),
        ("हिन्दी में लिखें", "हिन्दी से लिखें", "हिन्दी [में] लिखें", "हिन्दी [से] लिखें"),
        ("ไปขวา", "ไปซ้าย", "ไป[ขว]า", "ไป[ซ้]า[ย]"),
        ("الطلب في الطريق", "الطلب عند الباب", "الطلب [في الطريق]", "الطلب [عند الباب]"),
        ("don't stop", "do stop", "[don't] stop", "[do] stop"),
    ],
)
def test_what_differs_is_marked(stable: str, candidate: str, left: str, right: str) -> None:
    assert marked(stable, candidate) == (left, right)


def test_nothing_is_marked_where_little_is_in_common_or_texts_are_long() -> None:
    assert not word_difference("one two three", "quite something else").is_marked
    assert not word_difference("a " * MAX_TOKENS, "a " * MAX_TOKENS).is_marked
    assert not word_difference("", "only one side").is_marked
    assert word_difference("same words", "same words").is_marked


def test_marks_go_with_their_letters() -> None:
    assert tokens("नि") == ["नि"]
    assert tokens("e\u0301a") == ["e\u0301a"]
    assert tokens("👩‍💻 x") == ["👩\u200d", "💻", " ", "x"]
    assert tokens("かばん、です") == ["か", "ば", "ん", "、", "で", "す"]


@given(st.text(max_size=200), st.text(max_size=200))
def test_runs_are_the_texts(stable: str, candidate: str) -> None:
    found = word_difference(stable, candidate)
    assert "".join(run.text for run in found.stable) == stable
    assert "".join(run.text for run in found.candidate) == candidate
    assert "".join(tokens(stable)) == stable
