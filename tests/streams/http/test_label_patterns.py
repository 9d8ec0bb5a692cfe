"""Patterns agree with the engine that they are a part of, and none takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy.streams.http.label_patterns import whole_match

LETTERS = "ab.-:é\n"
PIECES = st.sampled_from(
    ["a", "b", "é", "-", ":", "\n", ".", ".*", ".+", "|", r"\.", r"\*", r"\\", r"\|", r"\("]
)
PATTERNS = st.lists(PIECES, max_size=10).map("".join)
VALUES = st.text(LETTERS + r"*\|(", max_size=12)


@given(PATTERNS, VALUES)
@example("", "")
@example("a|", "")
@example(".+.+", "ab")
@example(".*ab.*ab", "abab")
@example("a.*a", "a")
@example(".*a.*a.*", "ba")
def test_a_match_is_one_of_re(pattern: str, value: str) -> None:
    wanted = re.fullmatch(pattern, value, re.DOTALL) is not None
    assert whole_match(pattern)(value) == wanted


@given(PATTERNS, VALUES)
def test_brackets_around_it_all_change_nothing(pattern: str, value: str) -> None:
    assert whole_match(f"({pattern})")(value) == whole_match(pattern)(value)


@given(st.text(r"ab.*+?()[]{}^$|\dw-", max_size=12), VALUES)
def test_whatever_is_not_refused_is_one_of_re(pattern: str, value: str) -> None:
    try:
        matches = whole_match(pattern)
    except ValueError:
        return
    assert matches(value) == (re.fullmatch(pattern, value, re.DOTALL) is not None)


@pytest.mark.parametrize(
    "pattern",
    ["a*", "a?", "a{2}", ".{2}", ".*?", ".++", "[ab]", "^a", "a$", r"\d", r"\w+", "(a)(b)", "a(b)",
     "(a", "a)", "\\", r"a\ ", r"(a\)"],
)  # fmt: skip
def test_what_would_need_a_whole_engine_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="of patterns only"):
        whole_match(pattern)


def test_no_pattern_takes_long() -> None:
    """`re` would need ages for these."""
    value = "a" * 300
    before_s = time.perf_counter()
    for pattern in [".*a" * 1_000 + "b", ".*" * 2_000 + "b", "|".join([".*a.*b"] * 500)]:
        assert not whole_match(pattern)(value)
    assert time.perf_counter() - before_s < 2.0
