"""The JSON records of a file: one a line, or documents that span lines, one after another.

A record that is broken takes no other with it where each has a line of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from understudy.schemas.adapters.recording import Place, Problem
from understudy.schemas.salvage import LONGEST_NUMBER

_decode: Final = msgspec.json.Decoder().decode


def json_records(content: bytes) -> Iterator[tuple[Place, Any] | Problem]:
    """Records with their places: objects, those of a list one by one, and what cannot be read."""
    lines = content.splitlines()
    first = next((line for line in lines if line.strip()), b"")
    values = _by_line(lines) if _is_whole(first) else _documents(content)
    for found in values:
        if isinstance(found, Problem) or not isinstance(found[1], list):
            yield found
            continue
        for number, one in enumerate(found[1]):
            yield found[0]._replace(path=f"[{number}]"), one


def _is_whole(line: bytes) -> bool:
    """Whether a line is a JSON value, or means to be one: it ends as it begins."""
    stripped = line.strip()
    return (stripped[:1], stripped[-1:]) in ((b"{", b"}"), (b"[", b"]")) and len(stripped) > 1


def _by_line(lines: list[bytes]) -> Iterator[tuple[Place, Any] | Problem]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield Place(number), _value(line)
        except ValueError as error:
            yield Problem(Place(number), f"is no JSON: {error}")


def _value(line: bytes) -> Any:
    """The value of a line, read as leniently as an event. Raises ValueError."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return json.loads(text, strict=False, parse_int=_parse_int)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else math.nan


def _documents(content: bytes) -> Iterator[tuple[Place, Any] | Problem]:
    """Documents one after another, with any white space or comma between them."""
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    decoder = json.JSONDecoder(strict=False, parse_int=_parse_int)
    at, line, counted = 0, 1, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at == len(text):
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield Problem(Place(error.lineno), f"is no JSON: {error.msg}")
            return
        except RecursionError:
            yield Problem(Place(line), "is no JSON: nested too deeply")
            return
        yield Place(line), value
