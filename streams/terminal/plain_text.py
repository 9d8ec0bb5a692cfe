"""Text from strangers, made fit for a terminal: bounded, and nothing in it acts.

Model output may hold escape sequences that move the cursor, rename the window or turn the reading
direction. Whatever is not a visible character comes out as its number.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

_WIDTHS: Final = ((0xFF, "\\x{:02x}"), (0xFFFF, "\\u{:04x}"), (0x10FFFF, "\\U{:08x}"))
_LINE_BREAKS: Final = re.compile(r"\r\n|\n")


def one_line(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, and one that says there was more."""
    shown = "".join(map(_visible, text[:limit]))
    return shown if len(shown) <= limit and len(text) <= limit else shown[:limit] + "…"


def lines(text: str, limit: int) -> str:
    """The text with its line breaks and indentation, at most `limit` characters of it."""
    cut = text[:limit]
    shown = "\n".join(
        "".join(map(_visible, line.replace("\t", "    "))) for line in _LINE_BREAKS.split(cut)
    )
    rest = len(text) - len(cut)
    return f"{shown}\n… {rest:,} more characters" if rest else shown


def payload_text(payload: bytes | None) -> str:
    """A payload for people: JSON indented, all else as it is, bytes that are no UTF-8 marked."""
    if payload is None:
        return "(no value)"
    try:
        return msgspec.json.format(payload, indent=2).decode("utf-8", "backslashreplace")
    except (msgspec.DecodeError, RecursionError):
        return payload.decode("utf-8", "backslashreplace")


def json_text(document: Any) -> str:
    """JSON in ASCII, without any character that acts on a terminal."""
    return json.dumps(document, ensure_ascii=True).replace("\x7f", "\\u007f")


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return next(form.format(code) for most, form in _WIDTHS if code <= most)
