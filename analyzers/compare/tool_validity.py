"""Whether the tool calls of an answer can be executed.

A call cannot be where it has no name, or one that was not offered; where its arguments form no JSON
object, or do not satisfy the schema that the request gave for them; and where the vendor says that
it could not read the call. What a request does not tell is not examined: without offered tools any
name will do, without a schema any object.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from understudy.analyzers.compare.arrays import Bools
from understudy.analyzers.compare.json_output import JsonSchemaValidator, compile_json_schema
from understudy.analyzers.compare.tool_calls import Calls, NotJson, read_arguments
from understudy.schemas.events import Tool, ToolCall

Tools = tuple[str | Tool, ...] | None
"""What a request offered; null and none are the same: not told."""

_LARGEST_SCHEMA: Final = 65_536
"""In bytes. Compiling a larger one would hold up pairing."""


def broken_calls(calls: Sequence[Calls], is_broken: Bools, tools: Sequence[Tools]) -> Bools:
    """Whether any call of each answer cannot be executed; n rows.

    Some of them are known to be broken: by their arguments alone, or since the vendor says so.
    """
    broken = is_broken.copy()
    for row, answer in enumerate(calls):
        if answer and not broken[row]:
            broken[row] = not _are_offered(answer, tools[row])
    return broken


def _are_offered(calls: tuple[ToolCall, ...], tools: Tools) -> bool:
    """Whether each call names a tool that was offered, with arguments that its schema takes."""
    if not tools:
        return all(call.name for call in calls)
    offered = {tool if isinstance(tool, str) else tool.name: tool for tool in tools}
    for call in calls:
        tool = offered.get(call.name) if call.name else None
        if tool is None or not (isinstance(tool, str) or _fits(call, tool)):
            return False
    return True


def _fits(call: ToolCall, tool: Tool) -> bool:
    validator = _validator(bytes(tool.parameters))
    if validator is None:
        return True
    arguments = read_arguments(bytes(call.arguments))
    if isinstance(arguments, NotJson):
        return False
    try:
        return validator.is_valid(arguments)
    except ValueError:  # a value that the validator cannot hold
        return False


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> JsonSchemaValidator | None:
    """The compiled schema; None where there is none that can be used."""
    if schema in (b"", b"null") or len(schema) > _LARGEST_SCHEMA:
        return None
    try:
        return compile_json_schema(schema)
    except ValueError:
        return None
