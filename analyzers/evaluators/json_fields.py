"""The fields of a JSON answer as pairs of place and value, for `agreement`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from understudy.analyzers.compare.json_output import parse_json

MAX_FIELDS: Final = 10_000
"""Bounds the time for one answer to some milliseconds; no answer for a caller has so many."""

Field = tuple[int, str, object]
"""Hash of the path, type and value. The type keeps true apart from 1, which Python takes for equal.

A path may be as long as the answer, and each field under it would have a copy."""
_ROOT: Final = 0


def json_fields(output: str | None) -> list[Field] | None:
    """Return the fields of an answer; None for one that is not JSON.

    Elements of an array have one path, since an element that is added in front would move all
    others. Integers and decimals of the same value are the same.
    """
    if not output:
        return None
    try:
        document = parse_json(output)
    except ValueError:
        return None
    fields: list[Field] = []
    for field in _fields(document, _ROOT):
        fields.append(field)
        if len(fields) == MAX_FIELDS:
            break
    return fields


def _fields(value: Any, path: int) -> Iterator[Field]:
    """Yield the values that hold no others; of an empty container, the container."""
    if isinstance(value, dict) and value:
        for key, inside in value.items():
            yield from _fields(inside, _path(path, key))
    elif isinstance(value, list) and value:
        elements = _path(path, None)
        for inside in value:
            yield from _fields(inside, elements)
    elif isinstance(value, str):
        yield path, "string", " ".join(value.split())
    elif isinstance(value, bool) or value is None:
        yield path, "literal", value
    elif isinstance(value, int | float):
        yield path, "number", value
    else:
        yield path, type(value).__name__, None


def _path(parent: int, key: str | None) -> int:
    """Return the hash of a path: of a key under its parent, or (None) of an array's elements.

    64 bits, with Python's secret in them: two of 10,000 paths agree once in 10^11 answers, and
    nobody can write such ones. It is compared within one process alone.
    """
    return hash((parent, key))
