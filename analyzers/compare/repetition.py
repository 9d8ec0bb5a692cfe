"""Whether an answer says the same thing over and over: a model that is caught in a loop.

A loop is a passage that follows itself at least `_FEWEST_ROUNDS` times, over at least
`_SHORTEST_LOOP` characters. It is looked for at a few places, most of them near the end, where an
answer in a loop is cut off: only if the next characters recur soon is it examined how far the
repetition goes, so a healthy answer costs a microsecond.

Passages without letters do not count: rules, tables of numbers, rows of dots. A loop in which
something changes from round to round (a number that counts up) is not recognized.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools

_FEWEST_ROUNDS: Final = 5
"""Refrains and similar rows of a table come back, but not so often without a change."""
_SHORTEST_LOOP: Final = 200
"""Characters: some sentences. Shorter ones are emphasis, laughter, a list of equal words."""
_PROBE: Final = 24
"""Characters that are searched for: hardly any recur by chance, and a round may be shorter."""
_LONGEST_ROUND: Final = 4_000
"""Characters of a round: a loop of longer ones needs an answer longer than models give."""


def repetitive(texts: Sequence[str | None]) -> Bools:
    """Whether each text is caught in a loop; none without text."""
    return np.array(
        [
            text is not None and len(text) >= _SHORTEST_LOOP and is_repetitive(text)
            for text in texts
        ],
        dtype=bool,
    )


def is_repetitive(text: str) -> bool:
    """Whether a passage of the text follows itself again and again."""
    length = len(text)
    if length < _SHORTEST_LOOP:
        return False
    last = length - _SHORTEST_LOOP
    # A round is no longer than this, or the text has not enough of them.
    reach = length // _FEWEST_ROUNDS + _PROBE
    if reach > _LONGEST_ROUND:
        reach = _LONGEST_ROUND
    again = text.find(text[last : last + _PROBE], last + 1, last + reach)
    if again >= 0 and _loops_at(text, last, again):
        return True
    for start in (length // 2, length * 7 // 8):
        # A loop has begun by `last`, so that the characters there would recur as well.
        if start > last and again < 0:
            continue
        found = text.find(text[start : start + _PROBE], start + 1, start + reach)
        if found >= 0 and _loops_at(text, start, found):
            return True
    return False


def _loops_at(text: str, start: int, again: int) -> bool:
    """Whether a loop goes through the characters from `start` on, which recur at `again`."""
    round_ = again - start
    enough = max(_SHORTEST_LOOP, _FEWEST_ROUNDS * round_)
    # Before or after its middle, a loop has half of what is enough: most passages end at once.
    half = (enough - round_) // 2
    goes_on = text.startswith(text[start : start + half], again)
    went_on = start >= half and text.startswith(text[start - half : start], again - half)
    if not (goes_on or went_on):
        return False
    has_letters = any(map(str.isalpha, text[start:again]))
    return has_letters and _loop_length(text, start, round_) >= enough


def _loop_length(text: str, start: int, round_: int) -> int:
    """Characters around `start` of which each equals the one a round before or after it."""
    codes: NDArray[np.uint32] = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    differ = codes[round_:] != codes[:-round_]
    before, after = differ[:start][::-1], differ[start:]
    first = int(before.argmax()) if before.any() else before.size
    last = int(after.argmax()) if after.any() else after.size
    return first + last + round_
