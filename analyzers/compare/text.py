"""How alike two answers are as texts: equal, equal but for spacing and composition, similar.

Not for JSON documents, which `json_difference` compares by value.

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
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Indel, Prefix
from understudy.analyzers.compare.measures import Bools, Bytes, Floats, SimilarityMethod

DEFAULT_MAX_INDEL_CHARACTERS: Final = 2048


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
    """Compare text by text; a side without text (null or empty) is like nothing.

    Without `similarity` only identical texts get one (it costs nothing there).
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


# A character of these ranges is never white space, is its own NFC form and never composes with
# what stands before it. Followed by another such character, by ASCII, by white space or by the
# end it does not compose with what stands after it either.
_STABLE: Final = (
    r"!-~"  # ASCII
    r"\u00a1-\u00ff\u0400-\u0482\u048a-\u052f"  # Latin-1, Cyrillic
    r"\u05d0-\u05ea\u0620-\u064a"  # Hebrew, Arabic
    r"\u0e01-\u0e30"  # Thai
    r"\u2010-\u2027"  # punctuation
    r"\u3001-\u3029\u3041-\u3096\u30a1-\u30fa"  # kana
    r"\u4e00-\u9fa5\uac00-\ud7a3\uff01-\uff9d"  # Han, Hangul, wide forms
)
_stands_alone = re.compile(rf"[{_STABLE}](?=[{_STABLE}\s]|\Z)").match


def equal_when_folded(left: Sequence[str], right: Sequence[str]) -> list[bool]:
    """Whether `fold(a) == fold(b)`, for texts that differ.

    Most pairs are told apart by the first character in which they differ; only where that is
    white space or may compose with its neighbours are both texts folded.
    """
    common = process.cpdist(left, right, scorer=Prefix.similarity, dtype=np.int64, workers=1)
    return [
        not _surely_differ(a, b, at) and fold(a) == fold(b)
        for a, b, at in zip(left, right, common.tolist(), strict=True)
    ]


def _surely_differ(a: str, b: str, at: int) -> bool:
    """Whether the characters at the first difference alone prove that the folded texts differ."""
    a_alone, b_alone = _stands_alone(a, at), _stands_alone(b, at)
    if a_alone and b_alone:
        return True
    if not (a_alone or b_alone) or at == 0 or a[at - 1].isspace():
        return False
    # One goes on with a character of its own where the other has white space or ends.
    other = b[at : at + 1] if a_alone else a[at : at + 1]
    return not other or other.isspace()


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
_BUCKETS: Final = 1 << _BUCKET_BITS
_HASH: Final = np.uint32(2_654_435_761)  # Knuth 1998, 6.4: 2^32 / golden ratio
_SHIFT: Final = np.uint32(32 - _BUCKET_BITS)


def ngram_similarity(left: str, right: str) -> float:
    """Dice coefficient of the bags of hashed 3-grams of code points; linear time.

    Collisions (8192 buckets) can only raise it. Texts without a 3-gram share nothing.
    """
    grams = max(len(left) - 2, 0) + max(len(right) - 2, 0)
    if not grams:
        return 0.0
    apart = int(np.abs(_gram_counts(left) - _gram_counts(right)).sum())
    return 1.0 - apart / grams


def _gram_counts(text: str) -> NDArray[np.int64]:
    if len(text) < 3:
        return np.zeros(_BUCKETS, np.int64)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    mixed = codes[:-2] * _HASH
    mixed += codes[1:-1]
    mixed *= _HASH
    mixed += codes[2:]
    mixed *= _HASH
    mixed >>= _SHIFT
    return np.bincount(mixed, minlength=_BUCKETS)
