"""A text without what splits or disguises words: markup, escapes, invisible and wide characters.

Each character knows where it comes from, so that what is found here can be replaced there. Pure.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

_DASHES: Final = "\u2010-\u2015\u2212\ufe58\ufe63"
_SPACES: Final = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
)
_COMPATIBLE: Final = "\uff01-\uff5e\u2460-\u24ff\U0001d400-\U0001d7ff"
_MASK: Final = re.compile(
    r"\\+u(?P<unicode>[0-9a-fA-F]{4})"
    r"|(?P<break>\\+[nrt])"
    r"|(?P<percent>(?:%[2-9a-fA-F][0-9a-fA-F]){1,64})"
    r"|(?P<entity>&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|[a-zA-Z]{2,10});)"
    r"|(?P<markup></?[a-zA-Z]{1,10}\s?/?>|[*`~]+|\\+(?=[^\w\s]))"
    rf"|(?P<invisible>[{_INVISIBLE}]+)"
    rf"|(?P<dash>[{_DASHES}])"
    rf"|(?P<space>[{_SPACES}])"
    rf"|(?P<wide>[{_COMPATIBLE}])"
)
_BEGINNING: Final = re.compile(rf"[\\%&<*`~{_INVISIBLE}{_DASHES}{_SPACES}{_COMPATIBLE}]")
"""Of any of them: one class is searched for ten times as fast."""


class _Piece(NamedTuple):
    """A part of the plain text, and where it comes from."""

    at: int
    """Where it begins in the plain text."""
    start: int
    end: int
    is_literal: bool


@dataclass(frozen=True, slots=True)
class Unmasked:
    """The plain text, and where each of its characters stood."""

    text: str
    _pieces: list[_Piece]

    def start_of(self, place: int) -> int:
        """Where the character at a place of the plain text begins in the text."""
        piece = self._piece(place)
        return piece.start + (place - piece.at if piece.is_literal else 0)

    def end_of(self, place: int) -> int:
        """Where it ends there."""
        piece = self._piece(place)
        return piece.start + place - piece.at + 1 if piece.is_literal else piece.end

    def _piece(self, place: int) -> _Piece:
        return self._pieces[bisect_right(self._pieces, place, key=lambda piece: piece.at) - 1]


def unmask(text: str) -> Unmasked | None:
    """Return a text without its disguise; None where it has none."""
    parts: list[str] = []
    pieces: list[_Piece] = []
    done = length = 0
    found = _BEGINNING.search(text)
    while found is not None:
        match = _MASK.match(text, found.start())
        if match is not None:
            begin, end = match.span()
            for piece, part in (
                (_Piece(length, done, begin, True), text[done:begin]),
                (_Piece(length + begin - done, begin, end, False), _plain(match)),
            ):
                if part:
                    parts.append(part)
                    pieces.append(piece)
                    length += len(part)
            done = end
        found = _BEGINNING.search(text, max(done, found.end()))
    if not done:
        return None
    parts.append(text[done:])
    pieces.append(_Piece(length, done, len(text), True))
    return Unmasked("".join(parts), pieces)


def _plain(match: re.Match[str]) -> str:
    """What a disguised character stands for; nothing for markup and what cannot be seen."""
    match match.lastgroup:
        case "unicode":
            return chr(int(match["unicode"], 16))
        case "percent":
            octets = bytes.fromhex(match["percent"].replace("%", ""))
            return octets.decode("utf-8", "replace")
        case "entity":
            return html.unescape(match[0])
        case "break" | "space":
            return " "
        case "dash":
            return "-"
        case "wide":
            return unicodedata.normalize("NFKC", match[0])
    return ""
