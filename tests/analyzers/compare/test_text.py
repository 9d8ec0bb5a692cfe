from __future__ import annotations

import gzip
import json
import math
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy.analyzers.compare.text import (
    _STANDS_ALONE,
    _beginning,
    compare_text,
    equal_when_folded,
    fold,
    is_blank,
    ngram_similarity,
)
from understudy.schemas.measures import SimilarityMethod

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
NONE, IDENTICAL, INDEL, NGRAM = SimilarityMethod


@pytest.mark.parametrize(
    ("left", "right", "identical", "folded", "similarity", "method"),
    [
        (None, None, False, False, math.nan, NONE),
        ("", "", False, False, math.nan, NONE),
        ("a", None, False, False, math.nan, NONE),
        ("", "a", False, False, math.nan, NONE),
        ("a", "a", True, True, 1.0, IDENTICAL),
        (" ", " ", True, True, 1.0, IDENTICAL),
        ("a b", "a  b", False, True, 6 / 7, INDEL),
        ("a b", "ab", False, False, 4 / 5, INDEL),
        (" a\n", "a", False, True, 2 / 4, INDEL),
        (" ", "\n\n", False, True, 0.0, INDEL),
        ("caf\u00e9", "cafe\u0301", False, True, 6 / 9, INDEL),
        ("cafe", "cafe\u0301", False, False, 8 / 9, INDEL),
        ("一二三", "一二四", False, False, 4 / 6, INDEL),
        ("一　二", "一 二", False, True, 4 / 6, INDEL),
        ("\u304b\u3099", "\u304c", False, True, 0.0, INDEL),
        ("\u1112\u1161\u11ab", "\ud55c", False, True, 0.0, INDEL),
        ("\u0633\u0644\u0627\u0645", "\u0633\u0644\u0645", False, False, 6 / 7, INDEL),
        (FAMILY, FAMILY, True, True, 1.0, IDENTICAL),
        (FAMILY, FAMILY[:3], False, False, 6 / 8, INDEL),
        ("\ud800", "\ud800", True, True, 1.0, IDENTICAL),
        ("\ud800", "\udfff", False, False, 0.0, INDEL),
    ],
)
def test_a_pair_of_texts(
    left: str | None,
    right: str | None,
    identical: bool,
    folded: bool,
    similarity: float,
    method: SimilarityMethod,
) -> None:
    columns = compare_text([left], [right])
    assert columns.identical.tolist() == [identical]
    assert columns.identical_folded.tolist() == [folded]
    assert columns.similarity[0] == pytest.approx(similarity, nan_ok=True)
    assert columns.method.tolist() == [method]


def test_long_texts_are_compared_by_ngrams_from_one_character_above_the_limit() -> None:
    at, above = "ab" * 50, "ab" * 50 + "c"
    columns = compare_text([at, above], ["xy" * 50, at], max_indel_characters=100)
    assert columns.method.tolist() == [INDEL, NGRAM]


def test_without_similarity_only_identical_texts_have_one() -> None:
    columns = compare_text(["a", "a", None], ["a", "b", "b"], similarity=False)
    np.testing.assert_array_equal(columns.similarity, [1.0, np.nan, np.nan])
    assert columns.method.tolist() == [IDENTICAL, NONE, NONE]


# What the shortcuts of folding could get wrong: marks, jamo, white space of many kinds, starts
# and ends, and words on both sides of the window.
TRICKY = st.text(
    alphabet=st.sampled_from(
        list("abcé \n\t\u00a0\u2000\u2003\u3000\u0301\u0327\u0345\u1e9b\u0323\u304b\u3099\u304c")
        + list("\u1100\u1161\u11a8\uac00\u0915\u093c\u0958\u0bc6\u0bbe\u0bca\u212b\u00c5中二")
        + ["\U000110a5", "\U000110ba", "\U0001f468", "\u200d", "\x1c", "\x85", "\ufeff", "\ud800"]
    ),
    max_size=12,
)
FILLED = st.builds(
    lambda head, filling, tail: head + filling + tail,
    TRICKY,
    st.sampled_from(["", "word " * 30, "x" * 100, "中" * 90, " " * 100]),
    TRICKY,
)


@given(FILLED, FILLED)
@example("e", "e\u0301")
@example("x a", "x  a")
@example("x  " + "y" * 100, "x " + "y" * 100)
@example("e\u0301\u0327", "e\u0327\u0301")
def test_folded_equality_is_equality_of_the_folded(left: str, right: str) -> None:
    if left != right:
        assert equal_when_folded([left], [right]) == [fold(left) == fold(right)]


@given(TRICKY, TRICKY, TRICKY)
def test_folded_equality_after_a_common_beginning(common: str, left: str, right: str) -> None:
    a, b = common + left, common + right
    if a != b:
        assert equal_when_folded([a], [b]) == [fold(a) == fold(b)]


@given(TRICKY)
def test_folding_is_nfc_and_single_spaces(text: str) -> None:
    expected = " ".join(unicodedata.normalize("NFC", text).split())
    assert fold(text) == expected
    assert fold(fold(text)) == fold(text)


def test_no_character_that_stands_alone_composes_with_one_before_it() -> None:
    composites = {
        tuple(chr(int(code, 16)) for code in decomposition.split())
        for code in range(sys.maxunicode + 1)
        if (decomposition := unicodedata.decomposition(chr(code))) and decomposition[0] != "<"
    }
    seconds = {parts[1] for parts in composites if len(parts) == 2}
    assert len(seconds) > 60
    assert [c for c in seconds if _beginning(c) == _STANDS_ALONE] == []
    marks = [chr(c) for c in range(0x10000) if unicodedata.combining(chr(c))]
    assert [c for c in marks if _beginning(c) == _STANDS_ALONE] == []


TEXTS = st.text(max_size=60)


@given(TEXTS, TEXTS, st.sampled_from([0, 10, 2048]))
def test_similarity_is_symmetric_and_between_0_and_1(left: str, right: str, limit: int) -> None:
    there = compare_text([left], [right], max_indel_characters=limit)
    back = compare_text([right], [left], max_indel_characters=limit)
    np.testing.assert_array_equal(there.similarity, back.similarity)
    np.testing.assert_array_equal(there.identical_folded, back.identical_folded)
    if left and right:
        assert 0.0 <= there.similarity[0] <= 1.0
        assert (there.method[0] == IDENTICAL) == (left == right)


@given(st.text(max_size=200), st.text(max_size=200))
def test_ngram_similarity_is_the_dice_coefficient_but_for_collisions(left: str, right: str) -> None:
    def grams(text: str) -> list[str]:
        return [text[i : i + 3] for i in range(len(text) - 2)]

    a, b = grams(left), grams(right)
    shared = sum(min(a.count(gram), b.count(gram)) for gram in set(a))
    exact = 2 * shared / (len(a) + len(b)) if a or b else 0.0
    found = ngram_similarity(left, right)
    assert exact - 1e-12 <= found <= exact + 0.15


@pytest.mark.parametrize(("left", "right"), [("", "abc"), ("ab", "abc"), ("abcd", "cd")])
def test_texts_without_a_gram_share_none(left: str, right: str) -> None:
    assert ngram_similarity(left, right) == 0.0


def test_ngrams_of_very_long_texts() -> None:
    """Longer than what is kept ready for the usual ones: 20,000 of 30,000 grams are shared."""
    shared = "ab" * 10_000
    assert ngram_similarity(shared, shared + "c" * 20_000) == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("left", "right", "low", "high"),
    [
        ("the quick brown fox " * 200, "the quick brown fox " * 200 + "end", 0.99, 1.0),
        ("the quick brown fox " * 200, "0123456789 " * 400, 0.0, 0.05),
        ("机器学习模型" * 500, "机器学习模型" * 499 + "训练", 0.99, 1.0),
        ("机器学习模型" * 500, "مرحبا بالعالم " * 300, 0.0, 0.05),
        (FAMILY * 600, FAMILY * 300, 0.6, 0.7),
    ],
)
def test_ngram_similarity_of_long_texts(left: str, right: str, low: float, high: float) -> None:
    columns = compare_text([left], [right])
    assert columns.method.tolist() == [NGRAM]
    assert low <= columns.similarity[0] <= high


def test_huge_texts_take_linear_time() -> None:
    left, right = "ab c\u0301" * 500_000, "ab c\u0301" * 499_999 + "ab  \u0107"
    started = time.process_time()
    columns = compare_text([left], [right])
    assert time.process_time() - started < 5.0
    assert columns.identical_folded.tolist() == [True]
    assert columns.similarity[0] > 0.99


@pytest.mark.data
def test_on_real_outputs_the_shortcuts_change_nothing(model_outputs_dir: Path) -> None:
    for path in sorted(model_outputs_dir.glob("pairs_*.ndjson.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        pairs = [(row["stable"]["output"], row["candidate"]["output"]) for row in rows]
        differing = [(a, b) for a, b in pairs if a and b and a != b]
        found = equal_when_folded([a for a, _ in differing], [b for _, b in differing])
        assert found == [fold(a) == fold(b) for a, b in differing], path.name


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        (None, True), ("", True), (" \n\t\u00a0\u3000", True), ("\u200b\ufeff\u00ad", True),
        ("\u2800\u3164", True), ("\u202e \u200f", True), ("\u3164", True), ("\u115f\u1160", True),
        ("a", False), ("\u200ba", False), ("0", False), (".", False), ("\U0001f44d", False),
        ("\x00", False), ("\ufffd", False),
    ],
)  # fmt: skip
def test_what_nobody_would_see(text: str | None, blank: bool) -> None:
    assert is_blank(text) is blank
