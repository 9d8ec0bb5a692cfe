"""Reads what can be read of an event that the strict decoder refuses.

Only strings, numbers and lists of an answer may be broken, never what an event is about: a record
whose identity cannot be read stays refused. A field that is broken is left out, with its name kept,
so that one bad measurement does not take the answer with it. What vendors write in a shape of their
own, such as text as a list of parts, is put into ours and counts as no damage.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec

Document = dict[str, Any]

LONGEST_NUMBER: Final = 400
"""In digits. Longer ones are no number that anybody meant, and Python refuses some of them."""
MAX_NESTING: Final = 200
"""Deeper than any answer that is of use, and what reading it takes stays within Python's stack."""
_ANSWER_DEPTH: Final = 5
"""Where the arguments of a tool call begin: event, response, calls, call, arguments."""
_TOO_DEEP: Final = '"\\ud800"'
"""Half a character, which `cleaned` finds, in place of what nests too deeply."""
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class NoDocument(ValueError):
    """A payload that is no JSON object."""


@dataclass(slots=True)
class Damage:
    """The fields that could not be read as they were written, in the order found."""

    fields: dict[str, None] = field(default_factory=dict)

    def note(self, path: str) -> None:
        """Note a field, once."""
        self.fields.setdefault(path)


def parse(payload: bytes) -> Document:
    """Parse a payload as far as a JSON object can be made out. Raises `NoDocument`.

    Taken as they are: half an emoji, bytes that are no UTF-8 (as lone surrogates, which `cleaned`
    finds), control characters in strings, a byte order mark, NaN and Infinity. Half a character
    also stands for arguments, or the like, that nest too deeply.
    """
    text = payload.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if text.count("[") + text.count("{") > MAX_NESTING:
        text = _without_depths(text)
    try:
        document = json.loads(text, strict=False, parse_int=_parse_int)
    except (ValueError, RecursionError) as error:
        raise NoDocument(str(error)) from None
    if not isinstance(document, dict):
        raise NoDocument("no JSON object")
    return document


def _without_depths(text: str) -> str:
    """A JSON text with half a character for each part of an answer that nests too deeply."""
    kept: list[str] = []
    depth = begins = taken = 0
    is_deep = False
    for match in _STRING_OR_BRACKET.finditer(text):
        first = text[match.start()]
        if first in "[{":
            depth += 1
            if depth == _ANSWER_DEPTH:
                begins = match.start()
            is_deep |= depth > MAX_NESTING
        elif first != '"':
            if depth == _ANSWER_DEPTH and is_deep:
                kept += (text[taken:begins], _TOO_DEEP)
                taken, is_deep = match.end(), False
            depth -= 1
    return "".join((*kept, text[taken:]))


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else math.nan


def encoded(document: Document) -> bytes:
    """Return a document as strict JSON. Raises ValueError where it holds half a character."""
    return msgspec.json.encode(document)


Repair = Callable[[Any, Damage], Any]
"""Puts a value into the shape of the contract, or returns None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class _Field:
    holder: type[msgspec.Struct]
    """A record of this field alone: its type is built once, where that of a hint is not."""
    nested: Mapping[str, _Field] | None
    """The fields of a record within the record."""
    is_required: bool


def fields_of(record: type[msgspec.Struct]) -> Mapping[str, _Field]:
    """The fields of a record by name, with those of the records in it."""
    return {
        one.name: _Field(
            msgspec.defstruct("Holder", [("value", one.type)]), _nested(one.type), one.required
        )
        for one in msgspec.structs.fields(record)
    }


def _nested(annotation: Any) -> Mapping[str, _Field] | None:
    for one in (annotation, *get_args(annotation)):
        inner = get_args(one)[0] if hasattr(one, "__metadata__") else one
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            return fields_of(inner)
    return None


def cleaned(
    document: Document,
    fields: Mapping[str, _Field],
    repairs: Mapping[str, Repair],
    as_it_is: Collection[str],
    damage: Damage,
    prefix: str = "",
) -> Document:
    """The known fields of a document that can be read; the names of the others go to `damage`."""
    kept: Document = {}
    for name, value in document.items():
        one = fields.get(name)
        if one is None or value is None:
            continue
        path = f"{prefix}{name}"
        if path in as_it_is:
            kept[name] = value
            continue
        if repair := repairs.get(path):
            value = repair(value, damage)
        if one.nested is not None and isinstance(value, dict):
            kept[name] = cleaned(value, one.nested, repairs, as_it_is, damage, f"{path}.")
            continue
        whole = without_surrogates(value, path, damage)
        if one.is_required or path in repairs or _fits(whole, one.holder):
            kept[name] = whole
        else:
            damage.note(path)
    return kept


def _fits(value: Any, holder: type[msgspec.Struct]) -> bool:
    try:
        msgspec.convert({"value": value}, holder)
    except msgspec.ValidationError:
        return False
    return True


def without_surrogates(value: Any, path: str, damage: Damage) -> Any:
    """The same value, half characters in it replaced as a decoder does, and what is no number."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            damage.note(path)
            return _SURROGATE.sub("\ufffd", value)
        return value
    if isinstance(value, float) and not math.isfinite(value):
        damage.note(path)
        return None
    if isinstance(value, dict):
        return {
            without_surrogates(key, path, damage): without_surrogates(inner, path, damage)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_surrogates(inner, path, damage) for inner in value]
    return value
