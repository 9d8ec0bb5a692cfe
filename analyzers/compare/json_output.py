"""Whether an answer that should be JSON is JSON, and if not, why not.

What the document says is compared in `json_difference`; `check_json_schema` only applies a
compiled JSON Schema.

Validity is the grammar of RFC 8259, white space around the value included. Where the RFC leaves
a choice:

- duplicate keys are valid; the last one counts;
- escapes of lone surrogates and numbers beyond a double are in the grammar, so they are valid;
- a byte order mark is not in the grammar;
- integers beyond 64 bits become doubles; `parse_exactly` keeps their digits;
- nesting beyond `max_depth` is too deep, whatever follows.

A string that holds an object or an array is in the grammar, too, but whoever parses the answer gets
a string instead: it counts as quoted, not as valid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NoReturn, Protocol

import jsonschema_rs
import numpy as np
import orjson

from understudy.analyzers.compare.arrays import Bools, Bytes
from understudy.schemas.measures import JsonState

MAX_DEPTH: Final = 128
"""Deeper than any useful answer, and far from what would exhaust the stack of a parser."""


class NoDocument:
    """The type of `NO_DOCUMENT`: no JSON value, not even null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_DOCUMENT"

    def __bool__(self) -> bool:
        return False


NO_DOCUMENT: Final = NoDocument()


class JsonSchemaValidator(Protocol):
    """A compiled JSON Schema."""

    def is_valid(self, instance: Any, /) -> bool:
        """Whether the instance satisfies the schema."""


@dataclass(frozen=True, slots=True)
class JsonColumns:
    """What became of answers that should be JSON; n rows."""

    state: Bytes
    """A `JsonState`."""
    documents: list[Any]
    """The value where valid, else `NO_DOCUMENT`."""


class TooDeep(ValueError):
    """Nested beyond the limit."""


def check_json(
    outputs: Sequence[str | None], expected: Bools, *, max_depth: int = MAX_DEPTH
) -> JsonColumns:
    """Parse the outputs that should be JSON; of those that are not, say why."""
    state = np.full(len(outputs), JsonState.NOT_EXPECTED, np.int8)
    documents: list[Any] = [NO_DOCUMENT] * len(outputs)
    known: dict[str | None, tuple[int, Any]] = {}
    rows = np.flatnonzero(expected).tolist()
    states: list[int] = []
    for row in rows:
        text = outputs[row]
        # Both sides often give the same answer, and then share one document.
        checked = known.get(text)
        if checked is None:
            checked = known[text] = _check(text, max_depth)
        states.append(checked[0])
        documents[row] = checked[1]
    state[rows] = states
    return JsonColumns(state, documents)


def _check(text: str | None, max_depth: int) -> tuple[int, Any]:
    """Return the state of an answer that should be JSON, and its value."""
    if not text:
        return JsonState.NOT_JSON, NO_DOCUMENT
    try:
        value = parse_json(text, max_depth)
        if isinstance(value, str) and _is_json_container(value.strip(), max_depth):
            return JsonState.QUOTED, NO_DOCUMENT
        return JsonState.VALID, value
    except ValueError as error:
        return why_invalid(text, error, max_depth), NO_DOCUMENT


def parse_json(text: str | bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON text.

    Raises `TooDeep` or another `ValueError`.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _parse_what_orjson_cannot(text, max_depth)
        if value is NO_DOCUMENT:
            raise
        return value
    if nests_deeper(text, max_depth):
        raise TooDeep(f"nested deeper than {max_depth}")
    return value


_may_be_json = re.compile(r'[ \t\n\r]*[\[{"\-0-9]').match
_unusual = re.compile(r"\\u[dD][89a-fA-F]|[eE]\+?\d{2}|\d{300}").search
_surrogate = re.compile("[\ud800-\udfff]").search


def _parse_what_orjson_cannot(text: str | bytes, max_depth: int) -> Any:
    """The value if the text is in the grammar all the same, else `NO_DOCUMENT`. Raises `TooDeep`.

    orjson's error is not handed in to be raised here: its traceback would hold this frame, and this
    frame it, and with them, until the garbage collector came, all that a batch had read.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not _may_be_json(text):
        return NO_DOCUMENT
    if nests_deeper(text, max_depth):
        raise TooDeep(f"nested deeper than {max_depth}")
    if not _unusual(text) or _surrogate(text):
        return NO_DOCUMENT
    try:
        value, end = _decoder.raw_decode(text.lstrip(_WHITE_SPACE))
    except RecursionError:
        raise TooDeep("nested deeper than the parser can go") from None
    except ValueError:
        return NO_DOCUMENT
    return value if end == len(text.strip(_WHITE_SPACE)) else NO_DOCUMENT


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _whole_number(digits: str) -> int | float:
    if len(digits) < 19:
        return int(digits)
    value = int(digits) if len(digits) < 22 else 1 << 64
    return value if -(1 << 63) <= value < 1 << 64 else float(digits)


_decoder = json.JSONDecoder(parse_constant=_reject, parse_int=_whole_number)
_WHITE_SPACE: Final = " \t\n\r"

_long_integer = re.compile("[0-9][0-9]{19}").search
"""2^64 has 20 digits: numbers with fewer are read exactly anyway. The first is written apart, which
lets the search pass over what is no digit in half the time."""
_two_digits = re.compile("[0-9][0-9]").search
_LONGEST_INT: Final = 4_000
"""Digits; Python refuses to read much longer ones, since it takes quadratic time."""


def parse_exactly(text: str | bytes, value: Any) -> Any:
    """The value of a JSON text with all digits of its integers, given what `parse_json` made of it.

    Longer integers than any arithmetic needs are `Decimal`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    # Of twenty digits in a row, two stand next to each other among every tenth character.
    if not (_two_digits(text[9::10]) and _long_integer(text)):
        return value
    return _exact_decoder.decode(text)


def _all_digits(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _LONGEST_INT else Decimal(digits)


_exact_decoder = json.JSONDecoder(parse_int=_all_digits)


_string_or_bracket = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]+|[\]}]+', re.DOTALL)


def nests_deeper(text: str | bytes, max_depth: int) -> bool:
    """Whether brackets outside strings nest deeper than the limit; linear time."""
    if len(text) <= max_depth:
        return False
    if isinstance(text, bytes):
        if text.count(b"[") + text.count(b"{") <= max_depth:
            return False
        text = text.decode("utf-8", "replace")
    if text.count("[") + text.count("{") <= max_depth:
        return False
    depth = 0
    for match in _string_or_bracket.finditer(text):
        first = text[match.start()]
        if first in "[{":
            depth += match.end() - match.start()
            if depth > max_depth:
                return True
        elif first != '"':
            depth = max(0, depth - (match.end() - match.start()))
    return False


def why_invalid(text: str, error: ValueError, max_depth: int = MAX_DEPTH) -> JsonState:
    """Why a text that failed to parse with `error` is not JSON."""
    if isinstance(error, TooDeep):
        return JsonState.TOO_DEEP
    start = text.lstrip(_WHITE_SPACE)[:3]
    if not start:
        return JsonState.NOT_JSON
    if _is_fenced(text, start, max_depth):
        return JsonState.FENCED
    if start[0] in '{["' and _breaks_off(text, error):
        return JsonState.TRUNCATED
    if _holds_json(text):
        return JsonState.TRAILING_TEXT
    return JsonState.NOT_JSON


def _breaks_off(text: str, error: ValueError) -> bool:
    return isinstance(error, json.JSONDecodeError) and (
        error.msg.startswith("unexpected end") or error.pos >= len(text)
    )


_ATTEMPTS: Final = 4
"""Brackets or fences tried: a search through all of them would take quadratic time."""
_FENCE: Final = "```"
_info_string = re.compile(r"[ \t]*(\w*)[^\n`]*\n?").match


def _is_fenced(text: str, start: str, max_depth: int) -> bool:
    """Whether a markdown fence holds JSON, or the text starts with one that should."""
    opening = text.find(_FENCE)
    for attempt in range(_ATTEMPTS):
        if opening < 0:
            return False
        info = _info_string(text, opening + len(_FENCE))
        language, inside = (info[1].lower(), info.end()) if info else ("", opening)
        says_json = language.startswith("json") or text.startswith(("{", "["), inside)
        if attempt == 0 and start == _FENCE and says_json:
            return True
        closing = text.find(_FENCE, inside)
        if closing < 0:
            return False
        if _is_json_container(text[inside:closing].strip(), max_depth):
            return True
        opening = text.find(_FENCE, closing + len(_FENCE))
    return False


def _is_json_container(text: str, max_depth: int) -> bool:
    if not text.startswith(("{", "[")):
        return False
    try:
        parse_json(text, max_depth)
    except ValueError:
        return False
    return True


def _holds_json(text: str) -> bool:
    """Whether the text has an object in it, or begins or ends with an array.

    Looks at the first few brackets. An array in the middle is more likely a remark [1].
    """
    text = text.strip()
    bracket = _next_bracket(text, 0)
    for _ in range(_ATTEMPTS):
        if bracket < 0:
            return False
        try:
            value, end = _decoder.raw_decode(text, bracket)
        except (ValueError, RecursionError):
            bracket = _next_bracket(text, bracket + 1)
            continue
        if bracket == 0 or end == len(text) or (value and isinstance(value, dict)):
            return True
        bracket = _next_bracket(text, end)
    return False


def _next_bracket(text: str, start: int) -> int:
    """Where the next object or array may begin; -1 if nowhere."""
    brace, square = text.find("{", start), text.find("[", start)
    return max(brace, square) if brace < 0 or square < 0 else min(brace, square)


def compile_json_schema(schema: bytes | str | Mapping[str, Any]) -> JsonSchemaValidator:
    """Compile a JSON Schema, given as a document or as its bytes.

    References must lead into the schema itself: nothing is fetched. Raises a `ValueError` that says
    what is wrong.
    """
    try:
        document = orjson.loads(schema) if isinstance(schema, bytes | str) else dict(schema)
        validator: JsonSchemaValidator = jsonschema_rs.validator_for(
            document, retriever=_fetch_nothing
        )
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the JSON Schema is not JSON: {error}") from None
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"not a JSON Schema: {reason}") from None
    return validator


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not part of the schema")


def check_json_schema(
    documents: Sequence[Any],
    json_state: Bytes,
    schema_ids: Sequence[str | None],
    validators: Mapping[str, JsonSchemaValidator],
) -> Bytes:
    """-1 not checked (no schema or an unknown one, or JSON not expected), else 0 or 1.

    An answer that is not JSON fails its schema.
    """
    verdict = np.full(len(documents), -1, np.int8)
    if not validators:
        return verdict
    known: dict[tuple[int, str], bool] = {}
    for row in np.flatnonzero(json_state != JsonState.NOT_EXPECTED).tolist():
        schema_id = schema_ids[row]
        validator = validators.get(schema_id) if schema_id is not None else None
        if validator is None or schema_id is None:
            continue
        # Equal answers share one document, see `check_json`.
        key = id(documents[row]), schema_id
        satisfied = known.get(key)
        if satisfied is None:
            satisfied = known[key] = _satisfies(validator, documents[row])
        verdict[row] = satisfied
    return verdict


def _satisfies(validator: JsonSchemaValidator, document: Any) -> bool:
    if document is NO_DOCUMENT:
        return False
    try:
        return validator.is_valid(document)
    except ValueError:  # a value that the validator cannot hold: lone surrogate, infinity
        return False
