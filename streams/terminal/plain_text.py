"""Text from outside made fit for a terminal: bounded, and nothing in it acts on the terminal."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import orjson

from understudy.analyzers.guardrails.formatting import printable

MAX_MESSAGE: Final = 2_000
"""Characters of a message that quotes others: enough for a reason, not for a screenful."""
_JSON_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_NAIVE_UTC
_FORMULA_SIGNS: Final = ("=", "+", "-", "@")
"""Histograms have whole numbers as keys; ClickHouse's times come without their zone, UTC."""
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
    """JSON on one line; characters that cannot be seen are escaped, as JSON may write any."""
    try:
        text = orjson.dumps(document, default=plain_value, option=_JSON_OPTIONS).decode()
    except TypeError:  # a number beyond 64 bits, or half a character
        text = json.dumps(document, ensure_ascii=True, default=plain_value)
    return with_escapes(text)


def with_escapes(json_document: str) -> str:
    """JSON that says the same without characters that cannot be seen; only strings hold any."""
    if json_document.isprintable():
        return json_document
    return "".join(map(_escaped, json_document))


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character).strip('"')


def plain_value(value: object) -> str:
    """A value that JSON has no form for as text; times without a zone are UTC."""
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    return str(value)


def csv_cell(value: object) -> str:
    """A value in a CSV file: on one line, nothing for null, JSON for what has parts.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers do not.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    text = printable(plain_value(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_SIGNS) else text


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document's values by the names that lead to them, joined by `_`."""
    return dict(_flattened(document, ""))


def _flattened(document: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", value
