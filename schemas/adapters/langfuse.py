"""Exports of Langfuse: generations from its tables, its API and its blob storage.

The first two write names in camel case, the last in snake case, and CSV holds JSON as text. Two
runs share neither ids nor traces, so generations are named by what the user says (`--id
metadata.case`), else by their input.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.schemas.adapters.api_bodies import answer_parts
from understudy.schemas.adapters.recorded_answer import answer_of
from understudy.schemas.adapters.recording import (
    FoundAnswer,
    Place,
    ReadingOptions,
    Record,
    hash_id,
    look_up,
    parsed,
    withheld,
    without_unknown,
)
from understudy.schemas.event_time import zoned

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GENERATION: Final = "generation"
_TIMES: Final = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
"""Of blob storage, in UTC; everything else writes ISO 8601."""


def is_observation(record: Record) -> bool:
    """Whether a record is an observation, or a row of an export of them."""
    names = _snake(record).keys()
    return "trace_id" in names and "start_time" in names and "output" in names


def observations_of(record: Record, place: Place) -> Iterator[tuple[Place, Any]] | None:
    """The observations in a page of the API or in a trace's file; None for what is neither."""
    for name in ("data", "observations"):
        inner = record.get(name)
        found = inner if isinstance(inner, list) else []
        if any(isinstance(one, Mapping) and is_observation(one) for one in found):
            places = (place._replace(path=f"{name}[{n}]") for n in range(len(found)))
            return zip(places, (_with_session(one, record) for one in found), strict=False)
    return None


def _with_session(observation: Any, trace: Record) -> Any:
    """An observation with the session that only its trace names."""
    if isinstance(observation, Mapping) and trace.get("sessionId"):
        return {"sessionId": trace["sessionId"], **observation}
    return observation


def kind_of(record: Record) -> str:
    """What an observation is, in lower case: `generation`, `span`, `tool`, …"""
    return str(record.get("type") or _GENERATION).lower()


def is_generation(record: Record) -> bool:
    """Whether an observation is an answer of a model."""
    return kind_of(record) == _GENERATION


def answer_of_observation(record: Record, place: Place, options: ReadingOptions) -> FoundAnswer:
    """The answer in a generation. Raises ValueError where nothing names its request."""
    given = _snake(record)
    inputs, output = parsed(given.get("input")), parsed(given.get("output"))
    start = _time(given.get("start_time"))
    model = given.get("provided_model_name") or given.get("model")
    answer = answer_of(
        without_unknown(
            {
                "id": _id(record, inputs, options),
                "request_time": start,
                "conversation_id": given.get("session_id"),
                "request": {"prompt": _prompt(inputs)},
                "response": {
                    "model": model,
                    **(withheld(record.get("id")) if output is None else _response(output)),
                },
                "error": _error(given),
                "usage": _usage(given),
                "timing": {
                    "duration_ms": _between_ms(start, given.get("end_time"))
                    or _seconds(given.get("latency")),
                    "time_to_first_token_ms": _between_ms(start, given.get("completion_start_time"))
                    or _seconds(given.get("time_to_first_token")),
                },
            }
        )
    )
    call = "" if options.id_name else str(given.get("trace_id") or "")
    return FoundAnswer(answer, place, (str(model),) if model else (), call)


def _snake(record: Record) -> dict[str, Any]:
    """Names in snake case, empty cells left out."""
    return {
        _CAMEL.sub("_", name).lower().replace(" ", "_"): value
        for name, value in record.items()
        if value != ""
    }


def _id(record: Record, inputs: Any, options: ReadingOptions) -> Any:
    if not options.id_name:
        found = hash_id(inputs)
        if found is None:
            raise ValueError("has no input to pair it by; name a field of it with --id")
        return found
    head, _, rest = options.id_name.partition(".")
    value = parsed(record.get(head))
    return look_up(value, rest) if rest else value


def _prompt(inputs: Any) -> Any:
    """What was asked: text, messages, or the body that holds them."""
    if isinstance(inputs, Mapping):
        for name in ("messages", "prompt", "input"):
            if name in inputs:
                return inputs[name]
        return None
    return inputs


def _response(output: Any) -> dict[str, Any]:
    """An answer as text, as a chat message, or as the body that the API returned."""
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    if not isinstance(output, Mapping):
        return {"output": _text(output)}
    parts = answer_parts(output)
    if parts is not None and "response" in parts:
        return {name: value for name, value in parts["response"].items() if name != "model"}
    if "content" in output or "tool_calls" in output:
        names = ("tool_calls", "refusal", "reasoning", "finish_reason")
        return {"output": output.get("content"), **{name: output.get(name) for name in names}}
    return {"output": _text(output)}


def _text(output: Any) -> Any:
    return json.dumps(output, ensure_ascii=False) if isinstance(output, dict | list) else output


def _error(given: Mapping[str, Any]) -> Any:
    if str(given.get("level") or "").upper() != "ERROR":
        return None
    return {"type": str(given.get("status_message") or "error")}


def _usage(given: Mapping[str, Any]) -> dict[str, Any]:
    usage = parsed(given.get("usage_details") or given.get("usage"))
    counts = usage if isinstance(usage, Mapping) else {}
    costs = parsed(given.get("cost_details"))
    cost = costs.get("total") if isinstance(costs, Mapping) else None
    for name in ("total_cost", "calculated_total_cost"):
        cost = given.get(name) if cost is None else cost
    return {
        "input_tokens": _number(_first(counts, "input", "prompt_tokens", "input_tokens")),
        "output_tokens": _number(_first(counts, "output", "completion_tokens", "output_tokens")),
        "cached_input_tokens": _number(
            _first(counts, "input_cached_tokens", "cache_read_input_tokens")
        ),
        "reasoning_tokens": _number(_first(counts, "output_reasoning_tokens", "reasoning_tokens")),
        "cost_usd": _number(cost),
    }


def _first(counts: Mapping[str, Any], *names: str) -> Any:
    return next((counts[name] for name in names if counts.get(name) is not None), None)


def _number(value: Any) -> Any:
    """A number that an export wrote as text, as a number."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() else number


def _time(value: Any) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    for shape in _TIMES:
        try:
            return dt.datetime.strptime(value, shape).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    try:
        time = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return zoned(time)


def _between_ms(start: dt.datetime | None, end: Any) -> float | None:
    ended = _time(end)
    return (
        None if start is None or ended is None else (ended - start) / dt.timedelta(milliseconds=1)
    )


def _seconds(value: Any) -> Any:
    """Seconds in milliseconds."""
    number = _number(value)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return number * 1000 if is_number else None
