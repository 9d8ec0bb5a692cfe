"""Which words of two texts differ, to be shown side by side. Pure.

Words are runs of letters and digits with their marks; scripts that are written without spaces
(Chinese, Japanese, Thai, Khmer, Lao, Burmese) are taken character by character. So no dictionary is
needed, and what is marked never begins in the middle of a letter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

from rapidfuzz.distance import Indel

MAX_TOKENS: Final = 6_000
"""Of each text; what a captured text of 8 kB has in any script. Beyond it nothing is marked."""
LEAST_IN_COMMON: Final = 0.15
"""Share of the characters that are not in white space: where less is equal, marks on nearly all of
both texts would only hide them."""
_WITHOUT_SPACES: Final = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9D), (0x20000, 0x3134F),
)  # fmt: skip
"""Blocks of scripts that are written without spaces, kana and ideographs among them."""


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text, and whether the other text lacks it."""

    text: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class WordDifference:
    """Two texts as runs, each in its order."""

    stable: list[Run]
    candidate: list[Run]
    is_marked: bool
    """False where the texts are too long, or have too little in common, to mark anything."""


def word_difference(stable: str, candidate: str) -> WordDifference:
    """Return which words of two texts differ."""
    left, right = tokens(stable), tokens(candidate)
    unmarked = WordDifference([Run(stable, False)], [Run(candidate, False)], is_marked=False)
    if max(len(left), len(right)) > MAX_TOKENS:
        return unmarked
    changed_left, changed_right = _changed(left, right)
    if _in_common(left, changed_left) < LEAST_IN_COMMON:
        return unmarked
    return WordDifference(
        list(_runs(left, changed_left)), list(_runs(right, changed_right)), is_marked=True
    )


def _changed(left: Sequence[str], right: Sequence[str]) -> tuple[list[bool], list[bool]]:
    """Which tokens are not part of a longest common subsequence.

    White space between two that are not is none either: marks then cover what was rewritten.
    """
    changed = [True] * len(left), [True] * len(right)
    for operation in Indel.opcodes(left, right):
        if operation.tag == "equal":
            changed[0][operation.src_start : operation.src_end] = [False] * (
                operation.src_end - operation.src_start
            )
            changed[1][operation.dest_start : operation.dest_end] = [False] * (
                operation.dest_end - operation.dest_start
            )
    for words, marks in zip((left, right), changed, strict=True):
        for place in range(1, len(words) - 1):
            if words[place].isspace() and marks[place - 1] and marks[place + 1]:
                marks[place] = True
    return changed


def _in_common(words: Sequence[str], changed: Sequence[bool]) -> float:
    """The share of a text's characters, white space apart, that the other text has."""
    sizes = [0 if word.isspace() else len(word) for word in words]
    same = sum(size for size, is_changed in zip(sizes, changed, strict=True) if not is_changed)
    return same / max(1, sum(sizes))


def _runs(words: Sequence[str], changed: Sequence[bool]) -> Iterator[Run]:
    for is_changed, group in groupby(zip(words, changed, strict=True), key=lambda one: one[1]):
        yield Run("".join(word for word, _ in group), is_changed)


def tokens(text: str) -> list[str]:
    """Return the words of a text, what is between them included; joined they are the text."""
    found: list[str] = []
    last = ""
    for character in text:
        kind = _kind(character)
        if found and (kind == "mark" or (kind == last and kind in ("word", "space"))):
            found[-1] += character
        else:
            found.append(character)
        last = last if kind == "mark" else kind
    return found


@lru_cache(maxsize=16_384)
def _kind(character: str) -> str:
    """Whether a character is part of a word, goes with the one before it, or stands alone."""
    category = unicodedata.category(character)
    if category[0] == "M" or character in "\u200c\u200d":
        return "mark"
    if character == "\n":
        return "break"
    if character.isspace():
        return "space"
    code = ord(character)
    if any(first <= code <= last for first, last in _WITHOUT_SPACES):
        return "alone"
    return "word" if category[0] in "LN" or character in "_'’" else "alone"
