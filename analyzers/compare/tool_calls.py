"""Whether two answers call the same tools with the same arguments, in whatever order.

Models that call several tools at once do so in no particular order. Arguments are compared as JSON
values, not as text. Gateways write them either as a JSON value or, as OpenAI's API does, as a
string that holds one; both say the same. Null, an empty string and an empty object all mean: no
arguments. A string that holds no JSON is invalid and equals only a string with the same characters.

How similar two different calls are, and whether a tool exists, is not examined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import orjson

from understudy.analyzers.compare.arrays import Bools
from understudy.analyzers.compare.json_difference import canonical, json_equal
from understudy.analyzers.compare.json_output import (
    MAX_DEPTH,
    nests_deeper,
    parse_exactly,
    parse_json,
)
from understudy.schemas.events import ToolCall

Calls = tuple[ToolCall, ...] | None
"""The tool calls of one answer; null and none are the same."""


@dataclass(frozen=True, slots=True)
class ToolCallColumns:
    """Whether the tool calls of each pair match; n rows."""

    names_match: Bools
    """The same names, each as often."""
    calls_match: Bools
    """And with equal arguments."""


def compare_tool_calls(left: Sequence[Calls], right: Sequence[Calls]) -> ToolCallColumns:
    """Compare the calls of each pair; two answers that call nothing match."""
    n = len(left)
    names_match = np.ones(n, np.bool_)
    calls_match = np.ones(n, np.bool_)
    for row, (a, b) in enumerate(zip(left, right, strict=True)):
        if a == b or not (a or b):
            continue
        if not a or not b or not _same_names(a, b):
            names_match[row] = calls_match[row] = False
        elif not _same_calls(a, b):
            calls_match[row] = False
    return ToolCallColumns(names_match, calls_match)


def _same_names(left: tuple[ToolCall, ...], right: tuple[ToolCall, ...]) -> bool:
    a, b = [call.name for call in left], [call.name for call in right]
    return a == b or sorted(a) == sorted(b)


def _same_calls(left: tuple[ToolCall, ...], right: tuple[ToolCall, ...]) -> bool:
    """Whether two answers that call the same names give them equal arguments, order apart."""
    in_order = all(
        a.name == b.name and _equal_arguments(a, b) for a, b in zip(left, right, strict=True)
    )
    return in_order or (len(left) > 1 and Counter(map(_key, left)) == Counter(map(_key, right)))


def _key(call: ToolCall) -> tuple[str, str, bytes]:
    """Equal for calls of the same tool with equal arguments."""
    value = read_arguments(bytes(call.arguments))
    if isinstance(value, NotJson):
        return call.name, "text", value.encode("utf-8", "surrogatepass")
    return call.name, "value", canonical(value)


def arguments_invalid(calls: Sequence[Calls]) -> Bools:
    """Whether any call of an answer has arguments that are neither an object nor empty."""
    invalid = np.zeros(len(calls), np.bool_)
    for row, answer in enumerate(calls):
        if answer and not all(map(_valid_arguments, answer)):
            invalid[row] = True
    return invalid


class NotJson(str):
    """A string that should have held JSON."""

    __slots__ = ()


_NOTHING: Final[dict[str, Any]] = {}


def read_arguments(raw: bytes) -> Any:
    """Return the arguments as a JSON value: `{}` when there are none, else possibly `NotJson`."""
    try:
        value = parse_exactly(raw, parse_json(raw))
    except ValueError:
        return NotJson(raw.decode("utf-8", "replace"))
    if isinstance(value, str):
        try:
            value = parse_exactly(value, parse_json(value)) if value.strip() else None
        except ValueError:
            return NotJson(value)
    return _NOTHING if value is None else value


def _equal_arguments(left: ToolCall, right: ToolCall) -> bool:
    if left.arguments == right.arguments:
        return True
    a, b = read_arguments(bytes(left.arguments)), read_arguments(bytes(right.arguments))
    if isinstance(a, NotJson) or isinstance(b, NotJson):
        return type(a) is type(b) and bool(a == b)
    return json_equal(a, b)


_skip = msgspec.json.Decoder(msgspec.Raw).decode
"""Checks the grammar without building a value: a tenth of the cost of parsing."""


def _valid_arguments(call: ToolCall) -> bool:
    raw = bytes(call.arguments)
    if raw[:1] == b"{":  # the event's decoder has read it, so it is an object
        return not nests_deeper(raw, MAX_DEPTH)
    return _holds_object(raw) or isinstance(read_arguments(raw), dict)


def _holds_object(raw: bytes) -> bool:
    """Whether this is clearly a string that holds an object; False proves nothing."""
    if raw[:2] != b'"{':
        return False
    try:
        text = orjson.loads(raw)
        _skip(text)
    except (ValueError, RecursionError):
        return False
    return not nests_deeper(text, MAX_DEPTH)
