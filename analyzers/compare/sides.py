"""One side at a time: from events to `SideMeasures`.

Attributes are read out of the records column by column; everything after that is arrays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xxhash

from understudy.analyzers.compare.arrays import Bools, Floats, Hashes, Ints
from understudy.analyzers.compare.json_output import check_json, check_json_schema
from understudy.analyzers.compare.language import match_languages
from understudy.analyzers.compare.measure_arrays import SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.tool_calls import arguments_invalid
from understudy.schemas.events import (
    Error,
    Event,
    Fallback,
    Request,
    Response,
    Timing,
    ToolCall,
    Usage,
    failure_of,
)

_NO_REQUEST: Final = Request()
_NO_RESPONSE: Final = Response()
_NO_USAGE: Final = Usage()
_NO_TIMING: Final = Timing()
_TRUNCATED: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_CONTENT_FILTERED: Final = frozenset({"content_filter", "safety", "refusal", "content_filtered"})
_TIMEOUT_STATUSES: Final = frozenset({408, 504})


@dataclass(frozen=True, slots=True)
class SideReading:
    """The measures of n sides, with what comparing them to another side needs."""

    measures: SideMeasures
    outputs: list[str | None]
    """Text of the answers; None where the side failed."""
    documents: list[Any]
    """Parsed JSON where it was expected and valid, else NO_DOCUMENT."""
    tool_calls: list[tuple[ToolCall, ...] | None]
    request_times: list[dt.datetime]


def read_sides(
    events: Sequence[Event], languages: Sequence[str], options: CompareOptions
) -> SideReading:
    """Measure n sides; `languages` are the languages of their requests."""
    requests = [event.request or _NO_REQUEST for event in events]
    responses = [event.response or _NO_RESPONSE for event in events]
    timings = [event.timing or _NO_TIMING for event in events]
    usages = [event.usage or _NO_USAGE for event in events]
    failures = _failures([failure_of(event) for event in events])
    fallbacks = _fallbacks([event.fallback for event in events])
    finish = _finish([response.finish_reason for response in responses])
    outputs = [response.output for response in responses]
    calls = [response.tool_calls for response in responses]
    for row in failures.rows:
        outputs[row] = calls[row] = None
    characters = _ints([len(output) if output else 0 for output in outputs])
    text, error = characters > 0, failures.error
    expects_text = _bools([request.expects == "text" for request in requests])
    json = check_json(outputs, ~(error | expects_text))
    schema_valid = check_json_schema(
        json.documents, json.state, [r.schema_id for r in requests], options.json_schemas
    )
    spoken = match_languages(languages, outputs, text & expects_text)
    measures = SideMeasures(
        model=[response.model or "" for response in responses],
        served=_bools([event.served for event in events]),
        error=error,
        timeout=failures.timeout,
        error_type=failures.type,
        error_status=failures.status,
        finish_reason=finish.reason,
        finish_reason_known=finish.known & ~error,
        truncated=finish.truncated & ~error,
        content_filtered=finish.content_filtered & ~error,
        fallback_known=fallbacks.known,
        fallback=fallbacks.used,
        attempts=fallbacks.attempts,
        text=text,
        output_characters=characters,
        output_hash=_hashes(outputs),
        json_state=json.state,
        json_schema_valid=schema_valid,
        tools_offered=_bools([bool(r.tools) for r in requests]) & ~error,
        tool_call_count=_ints([len(c) if c else 0 for c in calls]),
        tool_arguments_invalid=arguments_invalid(calls),
        output_language=spoken.output_language,
        language_match=spoken.match,
        duration_ms=_floats([t.duration_ms for t in timings]),
        time_to_first_token_ms=_first_token_ms(timings, responses),
        input_tokens=_counts([u.input_tokens for u in usages]),
        output_tokens=_counts([u.output_tokens for u in usages]),
        cost_usd=_floats([u.cost_usd for u in usages]),
    )
    times = [event.request_time for event in events]
    return SideReading(measures, outputs, json.documents, calls, times)


@dataclass(frozen=True, slots=True)
class _Failures:
    """Errors of n sides; few have one, so only these rows are read."""

    rows: list[int]
    error: Bools
    timeout: Bools
    type: list[str]
    status: Ints


def _failures(errors: list[Error | None]) -> _Failures:
    n = len(errors)
    failures = _Failures([], _no(n), _no(n), [""] * n, np.zeros(n, np.int64))
    for row, error in enumerate(errors):
        if error is not None:
            status = error.status or 0
            failures.rows.append(row)
            failures.error[row] = True
            failures.timeout[row] = _is_timeout(error.type, status)
            failures.type[row] = error.type
            failures.status[row] = status
    return failures


@dataclass(frozen=True, slots=True)
class _Fallbacks:
    """Fallbacks of n sides, few of which have one."""

    known: Bools
    used: Bools
    attempts: Ints


def _fallbacks(given: list[Fallback | None]) -> _Fallbacks:
    n = len(given)
    fallbacks = _Fallbacks(_no(n), _no(n), np.ones(n, np.int64))
    for row, fallback in enumerate(given):
        if fallback is not None:
            fallbacks.known[row] = True
            fallbacks.used[row] = fallback.used
            fallbacks.attempts[row] = fallback.attempts or 1
    return fallbacks


@dataclass(frozen=True, slots=True)
class _Finish:
    """Why n answers ended: the reason in lower case, and what it means."""

    reason: list[str]
    known: Bools
    truncated: Bools
    content_filtered: Bools


def _finish(reasons: list[str | None]) -> _Finish:
    lower = {reason: (reason or "").lower() for reason in set(reasons)}
    names = [lower[reason] for reason in reasons]
    return _Finish(
        names,
        _bools([name != "" for name in names]),
        _among(names, _TRUNCATED),
        _among(names, _CONTENT_FILTERED),
    )


def _among(names: list[str], chosen: frozenset[str]) -> Bools:
    if chosen.isdisjoint(names):
        return _no(len(names))
    return _bools([name in chosen for name in names])


def _first_token_ms(timings: list[Timing], responses: list[Response]) -> Floats:
    return _floats(
        [
            timing.time_to_first_token_ms if response.stream else None
            for timing, response in zip(timings, responses, strict=True)
        ]
    )


def _no(n: int) -> Bools:
    return np.zeros(n, dtype=bool)


def _bools(values: list[bool]) -> Bools:
    return np.array(values, dtype=bool)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _counts(values: list[int | None]) -> Ints:
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)


def _floats(values: list[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)


def _hashes(outputs: list[str | None]) -> Hashes:
    digest = xxhash.xxh64_intdigest
    return np.array(
        [digest(output.encode("utf-8", "surrogatepass")) if output else 0 for output in outputs],
        dtype=np.uint64,
    )


def _is_timeout(error_type: str, status: int) -> bool:
    name = error_type.lower()
    return status in _TIMEOUT_STATUSES or "timeout" in name or name == "deadline_exceeded"
