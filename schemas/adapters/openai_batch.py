"""Batch files: OpenAI's output, error and input files, and Anthropic's results.

Lines of one batch are read by content, in any file: an answer or a failure under its `custom_id`,
or what was asked under it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from understudy.schemas.adapters.api_bodies import (
    Body,
    Parts,
    answer_parts,
    error_of,
    request_parts,
)
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, answer_of, id_text
from understudy.schemas.adapters.recording import ReadingOptions, Record, look_up, without_unknown
from understudy.schemas.events import Request


def is_batch_output(record: Record) -> bool:
    """Whether a line is of an output or error file, or of Anthropic's results."""
    return "custom_id" in record and bool({"response", "error", "result"} & record.keys())


def is_batch_input(record: Record) -> bool:
    """Whether a line is of an input file: what was asked."""
    return "custom_id" in record and bool({"body", "params"} & record.keys())


def answer_of_batch(record: Record, options: ReadingOptions) -> RecordedAnswer:
    """The answer, or the failure, of a line. Raises ValueError where it is neither."""
    parts = _of_result(record["result"]) if "result" in record else _of_response(record)
    named = look_up(record, options.id_name) if options.id_name else record["custom_id"]
    return answer_of(without_unknown({**parts, "id": named}))


def _of_response(record: Record) -> Parts:
    response = record.get("response")
    if not isinstance(response, Mapping):
        return {"error": error_of(record.get("error") or "no_response")}
    status, body = response.get("status_code"), response.get("body")
    body = body if isinstance(body, Mapping) else {}
    if record.get("error") or (isinstance(status, int) and status >= 400):
        return {"error": error_of(record.get("error") or body.get("error") or body, status)}
    return _answered(body)


def _answered(body: Body) -> Parts:
    parts = answer_parts(body)
    if parts is None:
        kind = body.get("object") or "something else"
        raise ValueError(f"holds no answer of a model, but {kind}")
    return {**parts, "request_time": _time(body.get("created") or body.get("created_at"))}


def _time(seconds: Any) -> dt.datetime | None:
    """When the answer was made, in seconds since 1970; it orders answers, no more."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _of_result(result: Any) -> Parts:
    """Anthropic's: a message, an error, or that it was cancelled or expired."""
    if not isinstance(result, Mapping):
        raise ValueError("has no result")
    if isinstance(result.get("message"), Mapping):
        return _answered(result["message"])
    error = result.get("error")
    inner = error.get("error") if isinstance(error, Mapping) else None
    return {"error": error_of(inner or error or result.get("type"))}


def request_of_batch(record: Record) -> tuple[str, Request, Any]:
    """The id and request of an input line, and the JSON Schema that it carries.

    Raises ValueError for a line without either.
    """
    body = record.get("body", record.get("params"))
    if not isinstance(body, Mapping):
        raise ValueError("has no body")
    parts, schema = request_parts(body)
    answer = answer_of({"id": record["custom_id"], "request": parts})
    return id_text(record["custom_id"]), answer.request or Request(), schema
