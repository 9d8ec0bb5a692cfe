"""Whether an answer that should be JSON is JSON, and if not, why not.

Not for what the document says: `json_difference` compares, `check_json_schema` only asks a
compiled JSON Schema.

Validity is the grammar of RFC 8259, white space around the value included. Where the RFC leaves
a choice:

- duplicate keys are valid; the last one counts;
- escapes of lone surrogates and numbers beyond a double are in the grammar, so they are valid;
- a byte order mark is not in the grammar;
- integers beyond 64 bits become doubles;
- nesting beyond `max_depth` is too deep, whatever follows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

import jsonschema_rs
import numpy as np
import orjson
from understudy.analyzers.compare.measures import Bools, Bytes, JsonState

MAX_DEPTH: Final = 128


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
    """Parse the outputs that are expected to be JSON; say of the others why they are not."""
    state = np.full(len(outputs), JsonState.NOT_EXPECTED, np.int8)
    documents: list[Any] = [NO_DOCUMENT] * len(outputs)
    rows = np.flatnonzero(expected).tolist()
    states: list[int] = []
    for row in rows:
        text = outputs[row]
        try:
            documents[row] = parse_json(text, max_depth) if text else NO_DOCUMENT
            states.append(JsonState.VALID if text else JsonState.NOT_JSON)
        except ValueError as error:
            states.append(why_invalid(text or "", error, max_depth))
    state[rows] = states
    return JsonColumns(state, documents)


def parse_json(text: str | bytes, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text.

    Raises `TooDeep` or another `ValueError`.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        if _depth_exceeds(text, max_depth):
            raise TooDeep(f"nested deeper than {max_depth}") from None
        if not _may_be_valid_nonetheless(text):
            raise
        value = _parse_leniently(text)
    else:
        # A value of depth d has at least 2 d characters.
        if len(text) > 2 * max_depth and _depth_exceeds(text, max_depth):
            raise TooDeep(f"nested deeper than {max_depth}")
    return value


_unusual = re.compile(r"\\u[dD][89a-fA-F]|\d[eE]\+?\d{2}|\d{300}")


def _may_be_valid_nonetheless(text: str | bytes) -> bool:
    """Whether there is anything that orjson rejects and the grammar allows."""
    if isinstance(text, bytes):
        return False
    return _unusual.search(text) is not None and not any("\ud800" <= c <= "\udfff" for c in text)


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _whole_number(digits: str) -> int | float:
    if len(digits) < 19:
        return int(digits)
    value = int(digits) if len(digits) < 22 else 1 << 64
    return value if -(1 << 63) <= value < 1 << 64 else float(digits)


_decoder = json.JSONDecoder(parse_constant=_reject, parse_int=_whole_number)
_WHITE_SPACE: Final = " \t\n\r"


def _parse_leniently(text: str | bytes) -> Any:
    try:
        value, end = _decoder.raw_decode(str(text).lstrip(_WHITE_SPACE))
    except RecursionError:
        raise TooDeep("nested deeper than the parser can go") from None
    if end != len(str(text).strip(_WHITE_SPACE)):
        raise ValueError("text after the value")
    return value


_string_or_bracket = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]+|[\]}]+', re.DOTALL)


def _depth_exceeds(text: str | bytes, max_depth: int) -> bool:
    """Whether brackets outside strings nest deeper than the limit; linear time."""
    if isinstance(text, bytes):
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
_fence = re.compile(r"```[ \t]*(\w*)[ \t]*\r?\n?")


def _is_fenced(text: str, start: str, max_depth: int) -> bool:
    """Whether a markdown fence holds JSON, or the text starts with one that should."""
    position = 0
    for attempt in range(_ATTEMPTS):
        opening = _fence.search(text, position)
        if opening is None:
            return False
        inside = opening.end()
        at_start = attempt == 0 and start == "```"
        if at_start and (
            opening[1].lower().startswith("json") or text[inside : inside + 1] in "{["
        ):
            return True
        end = text.find("```", inside)
        if end < 0:
            return False
        block = text[inside:end].strip()
        if block[:1] in ("{", "["):
            try:
                parse_json(block, max_depth)
            except ValueError:
                pass
            else:
                return True
        position = end + 3
    return False


_opening_bracket = re.compile(r"[\[{]")


def _holds_json(text: str) -> bool:
    """Whether an object or array stands in the text, among its first few brackets."""
    position = 0
    for _ in range(_ATTEMPTS):
        bracket = _opening_bracket.search(text, position)
        if bracket is None:
            return False
        try:
            _decoder.raw_decode(text, bracket.start())
        except (ValueError, RecursionError):
            position = bracket.end()
        else:
            return True
    return False


def compile_json_schema(schema: bytes | str | Mapping[str, Any]) -> JsonSchemaValidator:
    """Compile a JSON Schema, given as a document or as its bytes.

    Raises `ValueError` that says what is wrong with it.
    """
    try:
        document = orjson.loads(schema) if isinstance(schema, bytes | str) else dict(schema)
        validator: JsonSchemaValidator = jsonschema_rs.validator_for(document)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the JSON Schema is not JSON: {error}") from None
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise ValueError(f"not a JSON Schema: {error}") from None
    return validator


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
    for row in np.flatnonzero(json_state != JsonState.NOT_EXPECTED).tolist():
        schema_id = schema_ids[row]
        validator = validators.get(schema_id) if schema_id is not None else None
        if validator is not None:
            verdict[row] = _satisfies(validator, documents[row])
    return verdict


def _satisfies(validator: JsonSchemaValidator, document: Any) -> bool:
    if document is NO_DOCUMENT:
        return False
    try:
        return validator.is_valid(document)
    except ValueError:  # a value that the validator cannot hold: lone surrogate, infinity
        return False
