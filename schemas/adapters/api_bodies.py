"""Requests and responses of model APIs, taken apart: OpenAI's chat completions, completions and
responses, Anthropic's messages. Batch files, logs and traces hold these bodies as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.schemas.adapters.recording import hash_id

Body = Mapping[str, Any]
Parts = dict[str, Any]

_JSON_FORMATS: Final = {"json_object": "json", "json_schema": "json_schema", "json": "json"}


def answer_parts(body: Body) -> Parts | None:
    """The parts of an answer (`response`, `usage`, `error`); None where a body holds none."""
    if isinstance(body.get("error"), Mapping) and not body.get("output"):
        return {"error": error_of(body["error"])}
    if isinstance(body.get("choices"), list):
        return _of_choices(body)
    if isinstance(body.get("output"), list):
        return _of_response(body)
    if isinstance(body.get("content"), list) and "stop_reason" in body:
        return _of_message(body)
    return None


def error_of(error: Any, status: Any = None) -> Parts:
    """An error of an API as that of an event: the most telling name that it has."""
    given = error if isinstance(error, Mapping) else {"code": error}
    names = (given.get(name) for name in ("code", "type", "message"))
    name = next((str(one) for one in names if one), None) or str(status or "unknown")
    return {"type": name, "status": status if isinstance(status, int) else None}


def _of_choices(body: Body) -> Parts:
    """A chat completion or a completion: the first choice is the answer."""
    choice = next((one for one in body["choices"] if isinstance(one, Mapping)), {})
    given = choice.get("message")
    message: Body = given if isinstance(given, Mapping) else {}
    calls = message.get("tool_calls") or _listed(message.get("function_call"))
    return {
        "response": {
            "model": body.get("model"),
            "output": message.get("content") if message else choice.get("text"),
            "tool_calls": calls or None,
            "refusal": message.get("refusal"),
            "reasoning": message.get("reasoning_content") or message.get("reasoning"),
            "finish_reason": choice.get("finish_reason"),
        },
        "usage": usage_of(body.get("usage")),
    }


def _listed(value: Any) -> list[Any]:
    return [value] if value else []


def _of_response(body: Body) -> Parts:
    """A response of OpenAI's Responses API: items of messages, calls and reasoning."""
    parts: list[Any] = []
    for item in body["output"]:
        parts += _parts_of(item)
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    answered = {
        "response": {
            "model": body.get("model"),
            "output": parts or None,
            "finish_reason": reason or body.get("status"),
        },
        "usage": usage_of(body.get("usage")),
    }
    if body.get("error"):
        answered["error"] = error_of(body["error"])
    return answered


def _parts_of(item: Any) -> Iterator[Any]:
    if not isinstance(item, Mapping):
        return
    inner = {"message": "content", "reasoning": "summary"}.get(str(item.get("type")))
    if inner is None:
        yield item
        return
    given = item.get(inner)
    yield from given if isinstance(given, list) else []


def _of_message(body: Body) -> Parts:
    """A message of Anthropic's API."""
    return {
        "response": {
            "model": body.get("model"),
            "output": body["content"],
            "finish_reason": body.get("stop_reason"),
        },
        "usage": usage_of(body.get("usage")),
    }


def usage_of(usage: Any) -> Parts | None:
    """Token counts by any vendor's names; Anthropic counts cached tokens apart from the rest."""
    if not isinstance(usage, Mapping):
        return None
    cached = _first(usage, "cached_input_tokens", "cache_read_input_tokens")
    given = _first(usage, "input_tokens", "prompt_tokens")
    if isinstance(given, int) and "cache_read_input_tokens" in usage:
        written = usage.get("cache_creation_input_tokens")
        given += sum(one for one in (cached, written) if isinstance(one, int))
    return {
        "input_tokens": given,
        "output_tokens": _first(usage, "output_tokens", "completion_tokens"),
        "cached_input_tokens": cached
        if cached is not None
        else _detail(usage, ("input_tokens_details", "prompt_tokens_details"), "cached_tokens"),
        "reasoning_tokens": _detail(
            usage, ("output_tokens_details", "completion_tokens_details"), "reasoning_tokens"
        ),
    }


def _first(record: Body, *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _detail(usage: Body, holders: tuple[str, ...], name: str) -> Any:
    for holder in holders:
        details = usage.get(holder)
        if isinstance(details, Mapping):
            return details.get(name)
    return None


def request_parts(body: Body) -> tuple[Parts, Any]:
    """What was asked, as `request` of an event has it, and the JSON Schema that it carries."""
    prompt = next((body[name] for name in ("messages", "input", "prompt") if name in body), None)
    wanted, name, schema = _format_of(body)
    schema_id = None if schema is None else f"{name or 'schema'}-{hash_id(schema)}"
    request = {
        "prompt": prompt,
        "expects": wanted,
        "schema_id": schema_id,
        "tools": body.get("tools"),
    }
    return {name: value for name, value in request.items() if value is not None}, schema


def _format_of(body: Body) -> tuple[str, str | None, Any]:
    """What the caller parses the answer as: kind, name and schema."""
    text = body.get("text")
    given = body.get("response_format") or (text.get("format") if isinstance(text, Mapping) else {})
    if not isinstance(given, Mapping):
        return "text", None, None
    kind = _JSON_FORMATS.get(str(given.get("type")), "text")
    inner = given.get("json_schema")
    holder: Body = inner if isinstance(inner, Mapping) else given
    schema = holder.get("schema") if kind == "json_schema" else None
    return kind, holder.get("name"), schema
