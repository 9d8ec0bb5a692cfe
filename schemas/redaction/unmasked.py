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
_BLOCKS: Final = r"(?i:t[dhr]|d[tdl]|li|[uo]l|br|hr|p|pre|div|h[1-6]|table|tbody|thead|option)"
"""HTML elements between which words end."""
_INLINE: Final = (
    r"(?i:[abiqsu]|em|strong|code|span|small|big|su[bp]|mark|del|ins|font|kbd|tt|wbr|abbr|cite|samp"
    r"|var|bd[io]|strike)"
)
"""HTML elements within words. Others, such as `<password>`, say what they hold, and stay."""
_MASK: Final = re.compile(
    r"\\+u(?P<unicode>[0-9a-fA-F]{4})"
    r"|(?P<break>\\+[nrt])"
    r"|(?P<percent>(?:%(?:[2-9a-fA-F][0-9a-fA-F]|0[9aAdD])){1,64})"
    r"|(?P<entity>&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|[a-zA-Z]{2,10});)"
    rf"|(?P<block></?(?:{_BLOCKS})\s?/?>)"
    rf"|(?P<markup></?(?:{_INLINE})\s?/?>|[*`~]+|\\+(?=[^\w\s]))"
    rf"|(?P<invisible>[{_INVISIBLE}]+)"
    rf"|(?P<dash>[{_DASHES}])"
    rf"|(?P<space>[{_SPACES}])"
    rf"|(?P<wide>[{_COMPATIBLE}])"
)
_BEGINNING: Final = re.compile(rf"[\\%&<*`~{_INVISIBLE}{_DASHES}{_SPACES}{_COMPATIBLE}]")
"""Of any of them: one class is searched for ten times as fast."""


_UNSEEN: Final = re.compile(f"[{_INVISIBLE}]")
_DASH: Final = re.compile(f"[{_DASHES}]")
_SPACE: Final = re.compile(f"[{_SPACES}]")


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
    has_markup: bool
    """Whether markup was left out that may stand within a word or between two."""
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


def unmask(text: str, markup: str = "") -> Unmasked | None:
    """Return a text without its disguise; None where it has none.

    `markup` takes the place of what may stand within a word or between two.
    """
    parts: list[str] = []
    pieces: list[_Piece] = []
    has_markup = False
    done = length = 0
    found = _BEGINNING.search(text)
    while found is not None:
        match = _MASK.match(text, found.start())
        if match is not None:
            begin, end = match.span()
            is_markup = match.lastgroup == "markup"
            has_markup |= is_markup
            for piece, part in (
                (_Piece(length, done, begin, True), text[done:begin]),
                (
                    _Piece(length + begin - done, begin, end, False),
                    markup if is_markup else _plain(match),
                ),
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
    return Unmasked("".join(parts), has_markup, pieces)


def _without_disguise(text: str) -> str:
    """What an escape stands for, such as `&nbsp;`, may be disguised itself."""
    return _SPACE.sub(" ", _DASH.sub("-", _UNSEEN.sub("", text)))


def _plain(match: re.Match[str]) -> str:
    """What a disguised character stands for; nothing for what cannot be seen."""
    match match.lastgroup:
        case "unicode":
            return _without_disguise(chr(int(match["unicode"], 16)))
        case "percent":
            octets = bytes.fromhex(match["percent"].replace("%", ""))
            return _without_disguise(octets.decode("utf-8", "replace"))
        case "entity":
            return _without_disguise(html.unescape(match[0]))
        case "break" | "space" | "block":
            return " "
        case "dash":
            return "-"
        case "wide":
            return unicodedata.normalize("NFKC", match[0])
    return ""
