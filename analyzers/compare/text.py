"""How alike two answers are as texts: equal, equal but for spacing and composition, similar.

JSON documents are compared by value in `json_difference`.

Three measures of a pair of texts, each on the text as given unless said otherwise:

- *identical*: the same code points;
- *identical when folded*: the same after Unicode NFC, every run of white space made one space,
  and none at the ends;
- *similarity*: 1 - indel distance / (sum of lengths), from rapidfuzz, up to a bounded length.
  Above it, the Sorensen-Dice coefficient of the two bags of hashed 3-grams of code points, which
  takes linear time (Dice 1945; hashing as in Weinberger et al. 2009).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel, Prefix

from understudy.analyzers.compare.arrays import Bools, Bytes, Floats
from understudy.schemas.measures import SimilarityMethod

DEFAULT_MAX_INDEL_CHARACTERS: Final = 2048
"""The indel distance takes quadratic time; most answers are shorter than this."""


_visible = re.compile(
    r"[^\s\u00ad\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff]"
).search
"""What is neither white space nor drawn: soft hyphens, joiners, direction marks, blank letters."""


def is_blank(text: str | None) -> bool:
    """Whether nobody would see anything of a text."""
    if not text:
        return True
    # Most texts begin with a letter or a sign of ASCII; Unicode has letters that are blank.
    return not "!" <= text[0] <= "~" and _visible(text) is None


@dataclass(frozen=True, slots=True)
class TextColumns:
    """How alike the two texts of each pair are; n rows."""

    identical: Bools
    identical_folded: Bools
    similarity: Floats
    """0 to 1; NaN where a side has no text or similarity was not asked for."""
    method: Bytes
    """A `SimilarityMethod`."""


def compare_text(
    left: Sequence[str | None],
    right: Sequence[str | None],
    *,
    similarity: bool = True,
    max_indel_characters: int = DEFAULT_MAX_INDEL_CHARACTERS,
) -> TextColumns:
    """Compare text by text; a side without text (null or empty) equals and resembles nothing.

    Without `similarity` only identical texts get one, since it costs nothing there.
    """
    n = len(left)
    identical = np.zeros(n, np.bool_)
    folded = np.zeros(n, np.bool_)
    score = np.full(n, np.nan)
    method = np.full(n, SimilarityMethod.NONE, np.int8)
    same = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a and a == b]
    rest = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a and b and a != b]
    if same:
        identical[same] = folded[same] = True
        score[same] = 1.0
        method[same] = SimilarityMethod.IDENTICAL
    if rest:
        a_texts = [text for i in rest if (text := left[i])]
        b_texts = [text for i in rest if (text := right[i])]
        folded[rest] = equal_when_folded(a_texts, b_texts)
        if similarity:
            score[rest], method[rest] = _similarities(a_texts, b_texts, max_indel_characters)
    return TextColumns(identical, folded, score, method)


def fold(text: str) -> str:
    """NFC, each run of white space one space, none at the ends."""
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    return " ".join(composed.split())


def equal_when_folded(left: Sequence[str], right: Sequence[str]) -> list[bool]:
    """Whether `fold(a) == fold(b)`, for texts that differ.

    For most pairs the first character or word in which they differ proves that the folded texts
    differ; only the others are folded.
    """
    common = process.cpdist(left, right, scorer=Prefix.similarity, dtype=np.int64, workers=1)
    return [
        not _surely_differ(a, b, at) and fold(a) == fold(b)
        for a, b, at in zip(left, right, common.tolist(), strict=True)
    ]


_WINDOW: Final = 80
"""Characters on either side of the first difference: some words, and cheap to split."""
_MAYBE, _STANDS_ALONE, _GAP = 0, 1, 2


def _surely_differ(a: str, b: str, at: int) -> bool:
    """Whether the characters at `at`, the end of the common prefix, prove that the folds differ."""
    a_start, b_start = _beginning(a[at : at + 2]), _beginning(b[at : at + 2])
    if a_start == b_start == _STANDS_ALONE:
        return True
    if a_start + b_start == _STANDS_ALONE + _GAP and at and not a[at - 1].isspace():
        return True
    return _words_differ(a, b, at)


@lru_cache(maxsize=16_384)
def _beginning(two: str) -> int:
    """Classify how a text goes on, by its next two characters; a gap is white space or the end."""
    if not two or two[0].isspace():
        return _GAP
    alone = _never_composes(two[0]) and (
        len(two) == 1 or two[1].isspace() or _never_composes(two[1])
    )
    return _STANDS_ALONE if alone else _MAYBE


def _never_composes(character: str) -> bool:
    """Whether NFC leaves a character as it is, whatever precedes it.

    That is NFC_Quick_Check=Yes and combining class 0 (Unicode Standard Annex 15). Outside the
    combining marks only Hangul vowels and finals compose with what precedes them, and letters
    beyond the basic plane, which are left to the full comparison.
    """
    return (
        unicodedata.category(character)[0] != "M"
        and (character < "\u1100" or "\u11ff" < character < "\U00010000")
        and unicodedata.is_normalized("NFC", character)
    )


def _words_differ(a: str, b: str, at: int) -> bool:
    """Whether the folds differ in a whole word shortly after the beginning of the word at `at`."""
    start = a.rfind(" ", max(0, at - _WINDOW), at) + 1
    if not start and at > _WINDOW:
        return False
    a_words = a[start : at + _WINDOW].split()
    b_words = b[start : at + _WINDOW].split()
    # The last word may go on beyond the window.
    return any(
        x != y and unicodedata.normalize("NFC", x) != unicodedata.normalize("NFC", y)
        for x, y in zip(a_words[:-1], b_words[:-1], strict=False)
    )


def _similarities(
    left: list[str], right: list[str], max_indel_characters: int
) -> tuple[Floats, Bytes]:
    """Similarity and method of texts that are not empty and not identical."""
    score = np.empty(len(left), np.float64)
    method = np.full(len(left), SimilarityMethod.INDEL, np.int8)
    longest = np.fromiter(
        map(max, map(len, left), map(len, right)), dtype=np.int64, count=len(left)
    )
    short = longest <= max_indel_characters
    if short.all():
        score[:] = _indel(left, right)
        return score, method
    chosen = short.nonzero()[0].tolist()
    if chosen:
        score[chosen] = _indel([left[i] for i in chosen], [right[i] for i in chosen])
    for i in (~short).nonzero()[0].tolist():
        score[i] = ngram_similarity(left[i], right[i])
        method[i] = SimilarityMethod.NGRAM
    return score, method


def _indel(left: list[str], right: list[str]) -> Floats:
    scores: Floats = process.cpdist(
        left, right, scorer=Indel.normalized_similarity, dtype=np.float64, workers=1
    )
    return scores


_BUCKET_BITS: Final = 13
"""8192 buckets: few collisions for texts of some thousand characters, and they fit the L2 cache."""
_BUCKETS: Final = 1 << _BUCKET_BITS
_HASH: Final = np.uint32(2_654_435_761)  # Knuth 1998, 6.4: 2^32 / golden ratio
_SHIFT: Final = np.uint32(32 - _BUCKET_BITS)


def ngram_similarity(left: str, right: str) -> float:
    """Dice coefficient of the bags of hashed 3-grams of code points; linear time.

    Collisions (8192 buckets) can only raise it. Texts without a 3-gram share nothing.
    """
    left_grams, right_grams = max(len(left) - 2, 0), max(len(right) - 2, 0)
    if not (left_grams and right_grams):
        return 0.0
    # Both are hashed as one text; the two grams that reach from one into the other count nothing.
    buckets = _hashed_grams(left + right)
    in_left = np.bincount(buckets[:left_grams], minlength=_BUCKETS)
    in_right = np.bincount(buckets[left_grams + 2 :], minlength=_BUCKETS)
    common = int(np.minimum(in_left, in_right, out=in_left).sum())
    grams = left_grams + right_grams
    return 1.0 - (grams - 2 * common) / grams


def _hashed_grams(text: str) -> NDArray[np.uint32]:
    """The bucket of each 3-gram of a text of three characters or more."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    mixed = codes[:-2] * _HASH
    mixed += codes[1:-1]
    mixed *= _HASH
    mixed += codes[2:]
    mixed *= _HASH
    mixed >>= _SHIFT
    return mixed
