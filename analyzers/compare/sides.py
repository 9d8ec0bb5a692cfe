"""One side at a time: from events to `SideMeasures`.

Attributes are read out of the records column by column; everything after that is arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import xxhash

from understudy.analyzers.compare.json_output import check_json, check_json_schema
from understudy.analyzers.compare.language import match_languages
from understudy.analyzers.compare.measures import Bools, Floats, Hashes, Ints, SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.tool_calls import arguments_invalid
from understudy.schemas.events import Event, Fallback, Request, Response, Timing, ToolCall, Usage

_NO_REQUEST: Final = Request()
_NO_RESPONSE: Final = Response()
_NO_USAGE: Final = Usage()
_NO_TIMING: Final = Timing()
_NO_FALLBACK: Final = Fallback()
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


def read_sides(
    events: Sequence[Event], languages: Sequence[str], options: CompareOptions
) -> SideReading:
    """Measure n sides; `languages` are the languages of their requests."""
    requests = [event.request or _NO_REQUEST for event in events]
    responses = [event.response or _NO_RESPONSE for event in events]
    error = np.array([event.error is not None for event in events], dtype=bool)
    outputs = [
        None if event.error is not None else response.output
        for event, response in zip(events, responses, strict=True)
    ]
    calls = [
        None if event.error is not None else response.tool_calls
        for event, response in zip(events, responses, strict=True)
    ]
    text = np.array([bool(output) for output in outputs], dtype=bool)
    expects_text = np.array([request.expects == "text" for request in requests], dtype=bool)
    json = check_json(outputs, ~error & ~expects_text)
    schema_valid = check_json_schema(
        json.documents, json.state, [r.schema_id for r in requests], options.json_schemas
    )
    spoken = match_languages(languages, outputs, text & expects_text)
    finish = [_finish_kind(response.finish_reason) for response in responses]
    errors = [
        (event.error.type, event.error.status or 0) if event.error else _NO_ERROR
        for event in events
    ]
    timings = [event.timing or _NO_TIMING for event in events]
    usages = [event.usage or _NO_USAGE for event in events]
    fallbacks = [event.fallback or _NO_FALLBACK for event in events]
    measures = SideMeasures(
        model=[response.model or "" for response in responses],
        served=_bools([event.served for event in events]),
        error=error,
        timeout=_bools([_is_timeout(*e) for e in errors]),
        error_type=[e[0] for e in errors],
        error_status=_ints([e[1] for e in errors]),
        finish_reason=[f[0] for f in finish],
        truncated=_bools([f[1] for f in finish]) & ~error,
        content_filtered=_bools([f[2] for f in finish]) & ~error,
        fallback=_bools([f.used for f in fallbacks]),
        attempts=_ints([f.attempts for f in fallbacks]),
        text=text,
        output_characters=_ints([len(output) if output else 0 for output in outputs]),
        output_hash=_hashes(outputs),
        json_state=json.state,
        json_schema_valid=schema_valid,
        tools_offered=_bools([bool(r.tools) for r in requests]) & ~error,
        tool_call_count=_ints([len(c) if c else 0 for c in calls]),
        tool_arguments_invalid=arguments_invalid(calls),
        output_language=spoken.output_language,
        language_match=spoken.match,
        duration_ms=_floats([t.duration_ms for t in timings]),
        first_token_ms=_floats(
            [
                t.time_to_first_token_ms if r.stream else None
                for t, r in zip(timings, responses, strict=True)
            ]
        ),
        input_tokens=_counts([u.input_tokens for u in usages]),
        output_tokens=_counts([u.output_tokens for u in usages]),
        cost_usd=_floats([u.cost_usd for u in usages]),
    )
    return SideReading(measures, outputs, json.documents, calls)


_NO_ERROR: Final = ("", 0)


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


@lru_cache(maxsize=1024)
def _finish_kind(reason: str | None) -> tuple[str, bool, bool]:
    """Name in lower case, whether it means truncation, whether it means a content filter."""
    name = (reason or "").lower()
    return name, name in _TRUNCATED, name in _CONTENT_FILTERED


@lru_cache(maxsize=1024)
def _is_timeout(error_type: str, status: int) -> bool:
    name = error_type.lower()
    return status in _TIMEOUT_STATUSES or "timeout" in name or name == "deadline_exceeded"
