"""Which fields of two JSON answers differ, with both values, to be shown side by side. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from understudy.analyzers.compare.json_difference import compare_documents

MAX_VALUE_CHARACTERS: Final = 300
"""Of a value that is shown: a table, not the document."""
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One place at which two documents differ; a value is empty where the side lacks it."""

    path: str
    """JSON Pointer (RFC 6901); empty for the whole document."""
    kind: str
    """missing, extra, type, value or order."""
    stable: str
    candidate: str


def field_differences(stable: str, candidate: str) -> list[FieldDifference] | None:
    """Return where two JSON texts differ; None unless both hold a JSON object or array."""
    stable, candidate = _unfenced(stable), _unfenced(candidate)
    left, right = _document(stable), _document(candidate)
    if left is _ABSENT or right is _ABSENT:
        return None
    return document_differences(left, right, (stable, candidate))


def document_differences(
    left: Any, right: Any, texts: tuple[str, str] | None = None
) -> list[FieldDifference]:
    """Return where two JSON documents differ; `texts` tell digits that the documents lack."""
    found = compare_documents(
        [left], [right], texts=None if texts is None else ([texts[0]], [texts[1]])
    )
    return [
        FieldDifference(path, kind, _shown(left, path), _shown(right, path))
        for path, kind in zip(found.paths[0], found.kinds[0], strict=True)
    ]


_FENCE: Final = re.compile(r"\s*```[a-zA-Z]{0,20}\s*\n(.*)\n\s*```\s*", re.DOTALL)


def _unfenced(text: str) -> str:
    """What stands within a fence of Markdown; that there is one is told elsewhere."""
    fenced = _FENCE.fullmatch(text)
    return fenced[1] if fenced else text


def _document(text: str) -> Any:
    try:
        document = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return _ABSENT
    return document if isinstance(document, (dict, list)) else _ABSENT


def json_text(value: Any) -> str:
    """Return a value as JSON; "…" where it is nested more deeply than can be written (254)."""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return "…"


def _shown(document: Any, path: str) -> str:
    value = _at(document, path)
    if value is _ABSENT:
        return ""
    text = json_text(value)
    is_long = len(text) > MAX_VALUE_CHARACTERS
    return f"{text[:MAX_VALUE_CHARACTERS]}…" if is_long else text


def _at(document: Any, path: str) -> Any:
    """The value at a JSON Pointer."""
    value = document
    for part in path.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return _ABSENT
    return value
