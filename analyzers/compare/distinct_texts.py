"""The texts of many answers, each different one once: both sides of a pair often give the same.

What a measure needs of a text alone is found once for each different one, and spread over the rows
that have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Ints

NO_TEXT: Final = ""
"""Stands for null as well: an answer of no characters."""
_CODED_TOGETHER: Final = 64
"""Texts, at most: enough to share a call of numpy, few where one of them needs a closer look."""
_CHARACTERS_TOGETHER: Final = 40_000
"""About so many are in a core's cache while one measure after the other looks through them."""


@dataclass(frozen=True, slots=True)
class DistinctTexts:
    """m different texts of n rows."""

    texts: list[str]
    """(m,), the first of them empty."""
    place: Ints
    """(n,): which of the texts each row has."""

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """What was found of the m texts, for the n rows."""
        return values[self.place]

    def coded(self) -> Iterator[list[bytes]]:
        """The texts in UTF-8, a few dozen at a time; halves of surrogate pairs are kept."""
        mean = sum(map(len, self.texts)) // len(self.texts) + 1
        together = max(1, min(_CODED_TOGETHER, _CHARACTERS_TOGETHER // mean))
        for start in range(0, len(self.texts), together):
            yield _encoded(self.texts[start : start + together])

    def where(self, holds: Sequence[bool]) -> Bools:
        """Whether something holds of the m texts, for the n rows."""
        found: Bools = np.array(holds, dtype=bool)[self.place]
        return found


def distinct_texts(outputs: Sequence[str | None]) -> DistinctTexts:
    """The different texts among n outputs; null counts as empty."""
    different = dict.fromkeys(filter(None, outputs))
    # One after the other, texts of ASCII alone are looked through at once, for less.
    texts = [NO_TEXT, *sorted(different, key=str.isascii, reverse=True)]
    places: dict[str | None, int] = {text: place for place, text in enumerate(texts)}
    places[None] = places[NO_TEXT]
    return DistinctTexts(texts, np.array(list(map(places.__getitem__, outputs)), dtype=np.int64))


def _encoded(texts: list[str]) -> list[bytes]:
    try:
        return [text.encode() for text in texts]
    except UnicodeEncodeError:
        return [text.encode("utf-8", "surrogatepass") for text in texts]
