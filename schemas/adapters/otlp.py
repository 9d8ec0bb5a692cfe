"""GenAI spans of OpenTelemetry: OTLP as JSON, and what the SDKs' console exporters print.

Two runs share no trace, so spans are named by an attribute that the user says (`--id`), else by
what was asked. Messages are read by the conventions in force (`gen_ai.input.messages`), as text or
structured, by those before (events of a span), and by OpenLLMetry's (`gen_ai.prompt.0.content`).
Only spans of a call to a model are answers; those of tools, agents and embeddings are not.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.schemas.adapters.recorded_answer import answer_of
from understudy.schemas.adapters.recording import (
    FoundAnswer,
    Place,
    ReadingOptions,
    Record,
    hash_id,
    parsed,
    withheld,
    without_unknown,
)
from understudy.schemas.event_time import EPOCH, zoned

Attributes = dict[str, Any]

_NOT_ANSWERS: Final = frozenset({
    "embeddings", "execute_tool", "retrieval", "invoke_agent", "create_agent", "invoke_workflow",
    "plan", "create_memory", "update_memory", "upsert_memory", "search_memory", "delete_memory",
    "create_memory_store", "delete_memory_store",
})  # fmt: skip
"""Values of `gen_ai.operation.name` of spans that are no call to a model."""
_INDEXED: Final = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(.+)")
_INPUT_EVENTS: Final = tuple(
    f"gen_ai.{role}.message" for role in ("system", "user", "assistant", "tool")
)
_OUTPUT_EVENT: Final = "gen_ai.choice"
_FAILED: Final = (2, "STATUS_CODE_ERROR", "ERROR")


def is_traces(record: Record) -> bool:
    """Whether a document is an OTLP export of spans."""
    return isinstance(record.get("resourceSpans", record.get("resource_spans")), list)


def is_span(record: Record) -> bool:
    """Whether a record is a span, as OTLP or as an SDK's console exporter has it."""
    context = record.get("context")
    named = record.get("spanId") or (isinstance(context, Mapping) and context.get("span_id"))
    return bool(named) and "name" in record


def spans_of(record: Record, place: Place) -> Iterator[tuple[Place, Any]]:
    """The spans of an OTLP document with their places and their resource's attributes."""
    for r, resource in enumerate(_list(record.get("resourceSpans", record.get("resource_spans")))):
        scopes = _list(resource.get("scopeSpans", resource.get("scope_spans")))
        for s, scope in enumerate(scopes):
            for n, span in enumerate(_list(scope.get("spans"))):
                path = f"resourceSpans[{r}].scopeSpans[{s}].spans[{n}]"
                yield place._replace(path=path), {**span, "resource": resource.get("resource")}


def operation_of(span: Record) -> str | None:
    """What a span is about (`chat`, `execute_tool`, …); None for one that is not of GenAI."""
    attributes = _attributes(span.get("attributes"))
    operation = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    if operation:
        return str(operation)
    is_genai = any(name.startswith(("gen_ai.", "llm.")) for name in attributes)
    return "chat" if is_genai and "gen_ai.tool.name" not in attributes else None


def is_answer(span: Record) -> bool:
    """Whether a span is a call to a model."""
    operation = operation_of(span)
    return operation is not None and operation not in _NOT_ANSWERS


def answer_of_span(span: Record, place: Place, options: ReadingOptions) -> FoundAnswer:
    """The answer that a span tells of. Raises ValueError where nothing names its request."""
    attributes = _attributes(span.get("attributes"))
    events = [
        (str(one.get("name")), _attributes(one.get("attributes")))
        for one in _list(span.get("events"))
    ]
    for name, values in events:
        if name == "gen_ai.client.inference.operation.details":
            attributes = {**values, **attributes}
    asked, answered = _input(attributes, events), _output(attributes, events)
    start, end = _time(span, "start"), _time(span, "end")
    model = attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model")
    first = attributes.get("gen_ai.response.time_to_first_chunk")
    error = _error(span, attributes, events)
    answer = answer_of(
        without_unknown(
            {
                "id": _id(span, attributes, asked, options),
                "request_time": start,
                "conversation_id": attributes.get("gen_ai.conversation.id"),
                "request": {
                    "prompt": _messages(asked),
                    "expects": _expects(attributes),
                    "tools": parsed(attributes.get("gen_ai.tool.definitions")),
                },
                "response": {
                    "model": model,
                    **(_response(answered) if answered is not None else withheld(_span_id(span))),
                    **_finish(attributes, answered),
                    "stream": _is_streamed(attributes),
                },
                "error": error,
                "usage": {
                    "input_tokens": _first(attributes, "input_tokens", "prompt_tokens"),
                    "output_tokens": _first(attributes, "output_tokens", "completion_tokens"),
                    "cached_input_tokens": _first(attributes, "cache_read.input_tokens"),
                    "reasoning_tokens": _first(attributes, "reasoning.output_tokens"),
                    "cost_usd": attributes.get("gen_ai.usage.cost"),
                },
                "timing": {
                    "duration_ms": None if start is None or end is None else _ms(end - start),
                    "time_to_first_token_ms": first * 1000
                    if isinstance(first, int | float)
                    else None,
                },
            }
        )
    )
    call = "" if options.id_name else _trace_id(span)
    return FoundAnswer(answer, place, (str(model),) if model else (), call)


def _list(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _attributes(given: Any) -> Attributes:
    """Attributes by name: OTLP's list of keys and values, or an object of the console exporter."""
    if isinstance(given, Mapping):
        return dict(given)
    return {str(one.get("key")): _value(one.get("value")) for one in _list(given)}


def _value(given: Any) -> Any:
    """The value of an OTLP attribute; whole numbers stand there as text."""
    if not isinstance(given, Mapping):
        return given
    for name, value in given.items():
        if name == "intValue":
            return int(value) if str(value).lstrip("-").isdecimal() else None
        if name == "arrayValue":
            values = value.get("values") if isinstance(value, Mapping) else None
            return [_value(one) for one in values] if isinstance(values, list) else []
        if name == "kvlistValue":
            return _attributes(value.get("values") if isinstance(value, Mapping) else None)
        return value
    return None


def _id(span: Record, attributes: Attributes, asked: Any, options: ReadingOptions) -> Any:
    if options.id_name:
        resource = span.get("resource")
        shared = _attributes(resource.get("attributes")) if isinstance(resource, Mapping) else {}
        found = attributes.get(options.id_name, shared.get(options.id_name))
        if found is None:
            raise ValueError(f"has no attribute {options.id_name}")
        return found
    found = hash_id(parsed(attributes.get("gen_ai.system_instructions")), asked)
    if found is None:
        raise ValueError(
            "has no input to pair it by, since its content was not recorded; "
            "name an attribute with --id"
        )
    return found


def _span_id(span: Record) -> str:
    context = span.get("context")
    inner = context.get("span_id") if isinstance(context, Mapping) else None
    return str(span.get("spanId") or inner or "")


def _trace_id(span: Record) -> str:
    context = span.get("context")
    inner = context.get("trace_id") if isinstance(context, Mapping) else None
    return str(span.get("traceId") or inner or "")


def _input(attributes: Attributes, events: list[tuple[str, Attributes]]) -> Any:
    """What was asked, as messages or text, by the first convention that tells."""
    for name in ("gen_ai.input.messages", "gen_ai.prompt", "input.value"):
        if attributes.get(name):
            return parsed(attributes[name])
    indexed = _by_index(attributes, "prompt")
    if indexed:
        return indexed
    messages = [{"role": n.split(".")[1], **a} for n, a in events if n in _INPUT_EVENTS]
    prompts = [a.get("gen_ai.prompt") for n, a in events if n == "gen_ai.content.prompt"]
    return messages or next((parsed(one) for one in prompts if one), [])


def _output(attributes: Attributes, events: list[tuple[str, Attributes]]) -> Any:
    """The first choice of the answer: a message, or text."""
    for name in ("gen_ai.output.messages", "gen_ai.completion", "output.value"):
        if attributes.get(name):
            return _first_of(parsed(attributes[name]))
    indexed = _by_index(attributes, "completion")
    if indexed:
        return indexed[0]
    for name, values in events:
        if name == _OUTPUT_EVENT:
            message = parsed(values.get("message"))
            inner = message if isinstance(message, Mapping) else {"content": message}
            return {**values, **inner} if message is not None else values
        if name == "gen_ai.content.completion":
            return _first_of(parsed(values.get("gen_ai.completion")))
    return None


def _first_of(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _by_index(attributes: Attributes, kind: str) -> list[Attributes]:
    """OpenLLMetry's messages, one attribute a field: `gen_ai.prompt.0.content`."""
    found: dict[int, Attributes] = {}
    for name, value in attributes.items():
        matched = _INDEXED.fullmatch(name)
        if matched and matched[1] == kind:
            found.setdefault(int(matched[2]), {})[matched[3]] = value
    return [_with_calls(found[number]) for number in sorted(found)]


def _with_calls(message: Attributes) -> Attributes:
    calls: dict[str, Attributes] = {}
    for name, value in message.items():
        matched = re.fullmatch(r"tool_calls\.(\d+)\.(.+)", name)
        if matched:
            calls.setdefault(matched[1], {})[matched[2]] = value
    return {**message, "tool_calls": list(calls.values())} if calls else message


def _messages(asked: Any) -> Any:
    """Messages as an event's prompt takes them: parts named `content` become `text`."""
    if not isinstance(asked, list):
        return asked if isinstance(asked, str) else None
    return [
        {"role": one.get("role"), "content": _parts(one)}
        for one in asked
        if isinstance(one, Mapping)
    ]


def _parts(message: Mapping[str, Any]) -> Any:
    """The content of a message in the shapes that an event's output may have."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return message.get("content")
    return [_part(one) for one in parts if isinstance(one, Mapping)]


def _part(part: Mapping[str, Any]) -> Attributes:
    kind = part.get("type")
    if kind == "tool_call":
        return {"type": "tool_use", "name": part.get("name"), "input": part.get("arguments")}
    text = part.get("content")
    return {"type": "reasoning" if kind == "reasoning" else kind, "text": text, "reasoning": text}


def _response(answered: Any) -> Attributes:
    if not isinstance(answered, Mapping):
        return {"output": answered}
    return {
        "output": _parts(answered),
        "tool_calls": parsed(answered.get("tool_calls")),
        "refusal": answered.get("refusal"),
    }


def _finish(attributes: Attributes, answered: Any) -> Attributes:
    reasons = attributes.get("gen_ai.response.finish_reasons")
    own = answered.get("finish_reason") if isinstance(answered, Mapping) else None
    return {"finish_reason": _first_of(parsed(reasons)) or own}


def _expects(attributes: Attributes) -> str | None:
    """What the caller parses; instrumentations name it each their own way."""
    if attributes.get("gen_ai.output.type") == "json":
        return "json"
    wanted = parsed(attributes.get("gen_ai.request.structured_output_schema"))
    form = attributes.get("gen_ai.openai.request.response_format")
    asks_for_json = isinstance(wanted, Mapping) and wanted.get("type") != "text"
    return "json" if asks_for_json or form in ("json_object", "json_schema") else None


def _is_streamed(attributes: Attributes) -> Any:
    names = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
    return next((attributes[name] for name in names if name in attributes), None)


def _error(span: Record, attributes: Attributes, events: list[tuple[str, Attributes]]) -> Any:
    status = span.get("status")
    state = status if isinstance(status, Mapping) else {}
    has_failed = state.get("code", state.get("status_code")) in _FAILED
    if not has_failed and not attributes.get("error.type"):
        return None
    raised = [values.get("exception.type") for name, values in events if name == "exception"]
    code = attributes.get("http.response.status_code")
    names = (attributes.get("error.type"), *raised, state.get("message"), state.get("description"))
    return {
        "type": str(next((one for one in names if one), "error")),
        "status": code if isinstance(code, int) else None,
    }


def _first(attributes: Attributes, *names: str) -> Any:
    full = (f"gen_ai.usage.{name}" for name in names)
    return next((attributes[name] for name in full if attributes.get(name) is not None), None)


def _time(span: Record, which: str) -> dt.datetime | None:
    """When a span starts or ends."""
    nanoseconds = span.get(f"{which}TimeUnixNano")
    if str(nanoseconds).isdecimal():
        try:
            return EPOCH + dt.timedelta(microseconds=int(str(nanoseconds)) // 1000)
        except OverflowError:
            return None
    written = span.get(f"{which}_time")
    try:
        time = dt.datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return None if time is None else zoned(time)


def _ms(difference: dt.timedelta) -> float:
    return difference / dt.timedelta(milliseconds=1)
