"""Lines of a recording that cannot be used: how many for which reason, and the first of each kind.

Lines are of one kind when the reason and the place within the JSON are the same. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from understudy.streams.replay.recordings import Place
from understudy.streams.terminal.plain_text import one_line

MAX_KINDS: Final = 20
"""About a screenful; garbage has as many kinds as lines."""
_MAX_DETAIL: Final = 300
_JSON_PATH: Final = re.compile(r" - at `(?P<path>[^`]*)`")
_BYTE: Final = re.compile(r"\(byte (?P<byte>[0-9]+)\)")


@dataclass(slots=True)
class InvalidExample:
    """The first line of a kind, and how many there are."""

    reason: str
    where: str
    """JSON path of the field, or the byte where it is no JSON; empty where neither is known."""
    detail: str
    index: int
    """Of the line, in the order in which the recording gave it out."""
    count: int = 0


class InvalidLines:
    """Counts invalid lines and keeps an example of each kind."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self._kinds: dict[tuple[str, str], InvalidExample] = {}

    @property
    def total(self) -> int:
        """Of all reasons."""
        return self.reasons.total()

    def note(self, reason: str, detail: str, index: int) -> None:
        """Count a line."""
        self.reasons[reason] += 1
        path = _JSON_PATH.search(detail)
        kind = reason, path["path"] if path else ""
        if kind not in self._kinds:
            has_room = len(self._kinds) < MAX_KINDS or self.reasons[reason] == 1
            if not has_room:
                return
            self._kinds[kind] = InvalidExample(reason, _where(detail), _bare(detail), index)
        self._kinds[kind].count += 1

    def examples(self) -> list[InvalidExample]:
        """The first line of each kind: by reason, the most frequent kinds first."""
        return sorted(self._kinds.values(), key=lambda one: (one.reason, -one.count, one.index))


def _where(detail: str) -> str:
    """The JSON path of what is wrong, or the byte."""
    if path := _JSON_PATH.search(detail):
        return one_line(path["path"], _MAX_DETAIL)
    byte = _BYTE.search(detail)
    return f"byte {byte['byte']}" if byte else ""


def _bare(detail: str) -> str:
    return one_line(_BYTE.sub("", _JSON_PATH.sub("", detail)).strip(), _MAX_DETAIL)


def invalid_text(invalid: InvalidLines, place: Callable[[int], Place]) -> Iterator[str]:
    """What to print: a line for each reason, then its examples."""
    examples = invalid.examples()
    for reason, count in sorted(invalid.reasons.items()):
        yield f"invalid: {count:,} {reason}"
        for one in examples:
            if one.reason == reason:
                where = f" at {one.where}" if one.where else ""
                more = f" ({one.count:,} like this)" if one.count > 1 else ""
                yield f"  {one_line(str(place(one.index)))}{where}: {one.detail}{more}"


def invalid_json(invalid: InvalidLines, place: Callable[[int], Place]) -> list[dict[str, Any]]:
    """The same for machines: one object for each kind."""
    return [
        {
            "reason": one.reason,
            "count": one.count,
            "file": place(one.index).file,
            "line": place(one.index).line,
            "where": one.where or None,
            "detail": one.detail,
        }
        for one in invalid.examples()
    ]
