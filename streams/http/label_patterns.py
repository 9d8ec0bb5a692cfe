"""As much of regular expressions as label matchers need, without any that take long. Pure.

`|` separates choices, `.` stands for one character, `.*` and `.+` for text, a backslash takes the
sign after it literally, and brackets may stand around it all. A pattern must match the whole value,
as in Prometheus. The rest is refused: what is left never goes back, so no pattern takes long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Test = Callable[[str], bool]
Segment = tuple[str | None, ...]
"""Characters in a row; None for any."""

_TOKEN: Final = re.compile(
    r"""\\(?P<literal>[^\w\s])
    |(?P<any>\.)(?P<many>[*+]?)(?![*+?{])
    |(?P<choice>\|)
    |(?P<plain>[^\\.|()\[\]{}^$?*+])""",
    re.ASCII | re.VERBOSE,
)

_AROUND: Final = re.compile(r"\((?:[^\\]|\\.)*\)", re.DOTALL)


def whole_match(pattern: str) -> Test:
    """A test of values. Raises ValueError for a pattern that is refused."""
    choices = _choices(pattern)
    return lambda value: any(_fits(value, choice) for choice in choices)


def _choices(pattern: str) -> list[list[Segment]]:
    """Each choice as segments with any text between them."""
    if _AROUND.fullmatch(pattern):
        pattern = pattern[1:-1]
    choices: list[list[list[str | None]]] = [[[]]]
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise ValueError(
                "of patterns only |, ., .*, .+ and \\ before a sign are known here, not "
                f"{pattern[position : position + 20]!r}"
            )
        if token["choice"]:
            choices.append([[]])
        else:
            _extend(choices[-1], token)
        position = token.end()
    return [[tuple(segment) for segment in choice] for choice in choices]


def _extend(choice: list[list[str | None]], token: re.Match[str]) -> None:
    if not token["any"]:
        choice[-1].append(token["literal"] or token["plain"])
        return
    if token["many"] != "*":
        choice[-1].append(None)
    if token["many"]:
        choice.append([])


def _fits(value: str, segments: list[Segment]) -> bool:
    """Whether the segments come in this order, the first at the beginning, the last at the end."""
    first, *rest = segments
    if not rest:
        return len(value) == len(first) and _stands_at(value, 0, first)
    *middle, last = rest
    end = len(value) - len(last)
    if not (_stands_at(value, 0, first) and end >= len(first) and _stands_at(value, end, last)):
        return False
    position = len(first)
    for segment in middle:
        # The earliest place leaves the most room for what follows, so no other need be tried.
        found = _find(value, segment, position, end)
        if found < 0:
            return False
        position = found + len(segment)
    return True


def _find(value: str, segment: Segment, start: int, end: int) -> int:
    places = range(start, end - len(segment) + 1)
    return next((place for place in places if _stands_at(value, place, segment)), -1)


def _stands_at(value: str, place: int, segment: Segment) -> bool:
    return len(value) - place >= len(segment) and all(
        wanted is None or wanted == found
        for wanted, found in zip(segment, value[place : place + len(segment)], strict=True)
    )
