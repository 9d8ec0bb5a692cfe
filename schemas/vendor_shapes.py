"""What gateways and vendors write in shapes of their own, put into those of the event.

OpenAI's and Anthropic's content parts, OpenAI's, Anthropic's and Gemini's tool calls, tools as
OpenAI's API takes them, prompts as lists of messages, errors as plain text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.schemas.salvage import Damage, Repair

UNREADABLE: Final = "unreadable"
"""Type of the error of a side whose answer cannot be read."""
UNNAMED_ERROR: Final = "unknown"
"""Type of an error that names none."""
_TYPE_LENGTH: Final = 128
_TEXT_PARTS: Final = frozenset({"text", "output_text", "input_text"})
_REASONING_PARTS: Final = frozenset({"reasoning", "thinking", "reasoning_text", "summary_text"})


def read_response(value: Any, damage: Damage) -> Any:
    """A response as an object; one that is text or a list of parts is its output."""
    if isinstance(value, str | list):
        value = {"output": value}
    if not isinstance(value, dict):
        damage.note("response")
        return None
    return _with_parts(value, damage) if isinstance(value.get("output"), list | dict) else value


def _with_parts(response: dict[str, Any], damage: Damage) -> dict[str, Any]:
    """The response with the parts of its output where they belong."""
    output = response["output"]
    parts = [output] if isinstance(output, dict) else output
    text: list[str] = []
    found: dict[str, list[Any]] = {"tool_calls": [], "refusal": [], "reasoning": []}
    for part in parts:
        _take_part(part, text, found, damage)
    known = any(found.values()) or text or not parts
    if not known:
        damage.note("response.output")
    merged = {**response, "output": "".join(text) if text or not parts else None}
    for name, values in found.items():
        if values and not response.get(name):
            merged[name] = values if name == "tool_calls" else "".join(values)
    return merged


def _take_part(part: Any, text: list[str], found: dict[str, list[Any]], damage: Damage) -> None:
    if isinstance(part, str):
        text.append(part)
        return
    kind = part.get("type") if isinstance(part, dict) else part
    if not isinstance(part, dict) or not isinstance(kind, str | None):
        damage.note("response.output")
        return
    if kind in ("tool_use", "function_call"):
        found["tool_calls"].append(part)
    elif kind == "refusal":
        found["refusal"] += _texts(part, "refusal", "text")
    elif kind in _REASONING_PARTS:
        found["reasoning"] += _texts(part, "thinking", "reasoning", "text")
    elif kind is None or kind in _TEXT_PARTS:
        text += _texts(part, "text", "value")


def _texts(part: Mapping[str, Any], *names: str) -> Iterator[str]:
    """The first text among some fields, which may itself be an object with a `value`."""
    for name in names:
        value = part.get(name)
        if isinstance(value, dict):
            value = value.get("value")
        if isinstance(value, str):
            yield value
            return


def read_tool_calls(value: Any, damage: Damage) -> Any:
    """Tool calls as a list of names and arguments; a call without a name has an empty one."""
    calls = [value] if isinstance(value, dict) else value
    if not isinstance(calls, list):
        damage.note("response.tool_calls")
        return None
    read = []
    for call in calls:
        if isinstance(call, dict):
            read.append(_tool_call(call, damage))
        else:
            damage.note("response.tool_calls")
    return read


def _tool_call(call: dict[str, Any], damage: Damage) -> dict[str, Any]:
    for wrapper in ("function", "functionCall", "function_call"):
        if isinstance(call.get(wrapper), dict):
            call = call[wrapper]
    name = call.get("name")
    if not isinstance(name, str):
        damage.note("response.tool_calls.name")
        name = ""
    given = (call[key] for key in ("arguments", "input", "args") if key in call)
    return {"name": name, "arguments": next(given, None)}


def read_tools(value: Any, damage: Damage) -> Any:
    """Offered tools as names, or as objects with a name and the schema of their arguments."""
    if not isinstance(value, list):
        damage.note("request.tools")
        return None
    read = []
    for tool in value:
        named = _tool(tool)
        if named is None:
            damage.note("request.tools")
        else:
            read.append(named)
    return read


def _tool(tool: Any) -> Any:
    if isinstance(tool, str):
        return tool
    if not isinstance(tool, dict):
        return None
    inner = tool.get("function")
    tool = inner if isinstance(inner, dict) else tool
    if not isinstance(tool.get("name"), str):
        return None
    schema = next((tool[key] for key in ("parameters", "input_schema") if key in tool), None)
    return {"name": tool["name"], "parameters": schema}


def read_prompt(value: Any, damage: Damage) -> Any:
    """A prompt as text; of a list of messages, what the user wrote."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        damage.note("request.prompt")
        return None
    messages = [one for one in value if isinstance(one, dict)]
    if value and not messages:
        damage.note("request.prompt")
        return None
    own = [one for one in messages if one.get("role") == "user"] or messages
    return "\n".join(text for one in own for text in _message_texts(one.get("content")))


def _message_texts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from _texts(part, "text")


def read_finish_reason(value: Any, damage: Damage) -> Any:
    """The first of a list, as OpenTelemetry has it; None for one that is longer than any word."""
    reason = value[0] if isinstance(value, list) and value else value
    if isinstance(reason, str) and len(reason) <= _TYPE_LENGTH:
        return reason
    damage.note("response.finish_reason")
    return None


def read_error(value: Any, damage: Damage) -> Any:
    """An error as an object with a type; what is false or empty is none."""
    if not value:
        damage.note("error")
        return None
    if not isinstance(value, dict):
        damage.note("error")
        return {"type": str(value)[:_TYPE_LENGTH] if isinstance(value, str) else UNNAMED_ERROR}
    if isinstance(value.get("type"), str):
        if len(value["type"]) > _TYPE_LENGTH:
            damage.note("error.type")
        return {**value, "type": value["type"][:_TYPE_LENGTH]}
    damage.note("error.type")
    named = (value.get(name) for name in ("code", "status"))
    found = next((str(one) for one in named if isinstance(one, str | int) and one), UNNAMED_ERROR)
    return {**value, "type": found[:_TYPE_LENGTH]}


def read_attributes(value: Any, damage: Damage) -> Any:
    """Attributes that are text."""
    if not isinstance(value, dict):
        damage.note("attributes")
        return None
    kept = {name: one for name, one in value.items() if isinstance(one, str)}
    if len(kept) < sum(one is not None for one in value.values()):
        damage.note("attributes")
    return kept


REPAIRS: Final[Mapping[str, Repair]] = {
    "request.prompt": read_prompt,
    "request.tools": read_tools,
    "response": read_response,
    "response.tool_calls": read_tool_calls,
    "response.finish_reason": read_finish_reason,
    "error": read_error,
    "attributes": read_attributes,
}
"""Field to what reads it; all other fields are as the contract says, or unknown."""
