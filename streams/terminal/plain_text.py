"""Text from outside made fit for a terminal: bounded, and nothing in it acts on the terminal."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from understudy.analyzers.guardrails.formatting import printable

MAX_MESSAGE: Final = 2_000
"""Characters of a message that quotes others: enough for a reason, not for a screenful."""
_LINE_BREAKS: Final = re.compile(r"\r\n|\n")


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """The text on one line, with `…` after `limit` characters."""
    shown = printable(text[:limit])
    return shown if len(shown) <= limit and len(text) <= limit else shown[:limit] + "…"


def lines(text: str, limit: int) -> str:
    """The text with its line breaks and indentation, at most `limit` characters of it."""
    cut = text[:limit]
    shown = "\n".join(printable(line.replace("\t", "    ")) for line in _LINE_BREAKS.split(cut))
    rest = len(text) - len(cut)
    return f"{shown}\n… {rest:,} more characters" if rest else shown


def payload_text(payload: bytes | None) -> str:
    """A payload for people: JSON is indented, and bytes that are not UTF-8 are escaped."""
    if payload is None:
        return "(no value)"
    try:
        return msgspec.json.format(payload, indent=2).decode("utf-8", "backslashreplace")
    except (msgspec.DecodeError, RecursionError):
        return payload.decode("utf-8", "backslashreplace")


def json_text(document: Any) -> str:
    """JSON in ASCII, without any character that acts on a terminal."""
    return json.dumps(document, ensure_ascii=True).replace("\x7f", "\\u007f")
