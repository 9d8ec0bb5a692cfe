"""One side at a time: from events to `SideMeasures`.

Attributes are read out of the records column by column; everything after that is arrays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import xxhash

from understudy.analyzers.compare.arrays import Bools, Bytes, Floats, Hashes, Ints
from understudy.analyzers.compare.distinct_texts import DistinctTexts, distinct_texts
from understudy.analyzers.compare.error_sources import error_source
from understudy.analyzers.compare.finish_reasons import (
    finish_state,
    is_broken_call,
    is_without_end,
)
from understudy.analyzers.compare.garbled import garbled
from understudy.analyzers.compare.json_output import (
    JsonColumns,
    check_json,
    check_json_schema,
)
from understudy.analyzers.compare.language import match_languages
from understudy.analyzers.compare.measure_arrays import SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.reasoning import split_reasoning
from understudy.analyzers.compare.repetition import repetitive
from understudy.analyzers.compare.text import is_blank
from understudy.analyzers.compare.tool_calls import arguments_invalid
from understudy.analyzers.compare.tool_validity import broken_calls
from understudy.schemas.events import (
    Error,
    Event,
    Fallback,
    Request,
    Response,
    SalvagedEvent,
    Timing,
    ToolCall,
    Usage,
    failure_of,
)
from understudy.schemas.measures import FinishState, JsonState
from understudy.schemas.vendor_shapes import UNREADABLE

Value = TypeVar("Value")
_NO_REQUEST: Final = Request()
_NO_RESPONSE: Final = Response()
_NO_USAGE: Final = Usage()
_NO_TIMING: Final = Timing()
_NONE: Final[list[str]] = []
"""Shared by all events that could be read, and always empty."""
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
    """Measure n sides; `languages` are the languages of their requests.

    Whether answers are constant takes those before them, see `constant_answers`; here it is no.
    """
    requests = [event.request or _NO_REQUEST for event in events]
    responses = [event.response or _NO_RESPONSE for event in events]
    timings = [event.timing or _NO_TIMING for event in events]
    usages = [event.usage or _NO_USAGE for event in events]
    failures = _failures(
        [event.error if event.fallback is None else failure_of(event) for event in events]
    )
    fallbacks = _fallbacks([event.fallback for event in events])
    finish = _finish([response.finish_reason for response in responses])
    outputs = [response.output for response in responses]
    calls = [response.tool_calls for response in responses]
    for row in failures.rows:
        outputs[row] = calls[row] = None
    hidden = _take_hidden(outputs, responses)
    as_given = outputs.copy()
    reasoning = _take_reasoning(outputs, responses)
    answers = distinct_texts(outputs)
    damaged, hashes = _damaged_and_hashed(answers)
    characters = answers.spread(_ints(list(map(len, answers.texts))))
    text, failed = characters > 0, failures.failed
    expects_text = _bools([(request.expects or "text") == "text" for request in requests])
    call_count = _ints([len(c) if c else 0 for c in calls])
    called = call_count > 0
    blank = answers.where([is_blank(text) for text in answers.texts])
    # Whoever parses the answer gets leaked reasoning as well; of a tool call alone nobody does.
    json = check_json(as_given, ~(failed | expects_text | hidden.text | (called & blank)))
    schema_ids = [request.schema_id for request in requests]
    _leave_out_redacted(json, schema_ids, hidden.redacted)
    schema_valid = check_json_schema(json.documents, json.state, schema_ids, options.json_schemas)
    spoken = match_languages(
        languages, hidden.with_beginnings(outputs), (text | hidden.begins) & expects_text
    )
    cache_hit = _given([response.cache_hit for response in responses])
    untimed = cache_hit | (failed & ~failures.error)
    costs = _costs(usages, untimed)
    filtered = (finish.state == FinishState.CONTENT_FILTER) | (finish.state == FinishState.REFUSAL)
    invalid_arguments = arguments_invalid(calls)
    tools = [request.tools for request in requests]
    broken = broken_calls(calls, invalid_arguments | (finish.broken_call & ~failed), tools)
    refused = (filtered | _given([response.refusal for response in responses])) & ~failed
    offered = _given(tools) & ~failed
    streamed = _given([response.stream for response in responses])
    model_request = ~(failures.client | failures.gateway)
    measures = SideMeasures(
        model=[response.model or "" for response in responses],
        served=_given([event.served for event in events]),
        unreadable_fields=_unreadable_fields(events),
        client_error=failures.client,
        gateway_error=failures.gateway,
        model_request=model_request,
        error=failures.error,
        timeout=failures.timeout,
        unreadable=failures.unreadable,
        error_type=failures.type,
        error_status=failures.status,
        finish_reason=finish.reason,
        cache_hit=cache_hit,
        finish_state=finish.state,
        finish_reason_known=(finish.state != FinishState.ABSENT) & ~failed,
        truncated=(finish.state == FinishState.LENGTH) & ~failed,
        content_filtered=filtered & ~failed,
        answered=~failed,
        refused=refused,
        empty=blank & ~(failed | called | refused | broken | hidden.text),
        incomplete=streamed & finish.without_end & ~(failed | broken),
        reasoning_leaked=reasoning.leaked,
        reasoning_characters=reasoning.characters,
        fallback_known=fallbacks.known,
        fallback=fallbacks.used & model_request,
        attempts=fallbacks.attempts,
        text=text,
        garbled=answers.spread(damaged),
        repetitive=answers.spread(repetitive(answers.texts)),
        constant_checked=_no(len(events)),
        constant_answer=_no(len(events)),
        output_characters=np.where(text, characters, -1),
        output_hash=answers.spread(hashes),
        json_state=json.state,
        json_schema_valid=schema_valid,
        tools_offered=offered,
        tool_call_count=call_count,
        tool_arguments_invalid=invalid_arguments,
        tool_call_invalid=broken,
        tool_call_missing=offered & ~(called | broken),
        output_language=spoken.output_language,
        language_match=spoken.match,
        duration_ms=_known(_floats([t.duration_ms for t in timings]), untimed),
        time_to_first_token_ms=_known(_first_token_ms(timings, responses), untimed),
        input_tokens=_counts([u.input_tokens for u in usages]),
        cached_input_tokens=_counts([u.cached_input_tokens for u in usages]),
        reasoning_tokens=_counts([u.reasoning_tokens for u in usages]),
        output_tokens=_counts([u.output_tokens for u in usages]),
        unpriced=costs.unpriced,
        cost_usd=costs.usd,
    )
    times = [event.request_time for event in events]
    return SideReading(measures, outputs, json.documents, calls, times)


@dataclass(frozen=True, slots=True)
class _Failures:
    """Errors of n sides; few have one, so only these rows are read."""

    rows: list[int]
    failed: Bools
    """Without an answer, whoever is to blame."""
    client: Bools
    gateway: Bools
    error: Bools
    """Failures of the model itself."""
    timeout: Bools
    unreadable: Bools
    type: list[str]
    status: Ints


def _failures(errors: list[Error | None]) -> _Failures:
    n = len(errors)
    failures = _Failures(
        rows=[],
        failed=_no(n),
        client=_no(n),
        gateway=_no(n),
        error=_no(n),
        timeout=_no(n),
        unreadable=_no(n),
        type=[""] * n,
        status=np.zeros(n, np.int64),
    )
    for row, error in enumerate(errors):
        if error is not None:
            status = error.status or 0
            failures.rows.append(row)
            failures.failed[row] = True
            match error_source(error):
                case "client":
                    failures.client[row] = True
                case "gateway":
                    failures.gateway[row] = True
                case _:
                    failures.error[row] = True
                    failures.timeout[row] = _is_timeout(error.type, status)
                    failures.unreadable[row] = error.type == UNREADABLE
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
            fallbacks.used[row] = bool(fallback.used)
            fallbacks.attempts[row] = fallback.attempts or 1
    return fallbacks


@dataclass(frozen=True, slots=True)
class _Finish:
    """Why n answers ended: the reason in lower case, and what it means."""

    reason: list[str]
    state: Bytes
    without_end: Bools
    """Nothing says that the answer came to its end."""
    broken_call: Bools
    """The vendor could not read a tool call."""


def _finish(reasons: list[str | None]) -> _Finish:
    different = list(set(reasons))
    places = {reason: place for place, reason in enumerate(different)}
    place = _ints([places[reason] for reason in reasons])
    words = [(reason or "").lower() for reason in different]
    return _Finish(
        [words[at] for at in place.tolist()],
        np.array(list(map(finish_state, different)), dtype=np.int8)[place],
        _bools(list(map(is_without_end, different)))[place],
        _bools(list(map(is_broken_call, different)))[place],
    )


@dataclass(frozen=True, slots=True)
class _Hidden:
    """Answers of which a gateway sent something else than the text; most gateways have none."""

    text: Bools
    """A hash or the beginning: what is measured on the text is unknown."""
    begins: Bools
    """The beginning, which tells the language."""
    beginnings: dict[int, str]
    redacted: list[int]
    """Parts were replaced, and what should be JSON, or satisfy a schema, may not do so any more."""

    def with_beginnings(self, outputs: list[str | None]) -> list[str | None]:
        """The outputs, and those of which only the beginning is known."""
        if not self.beginnings:
            return outputs
        return [self.beginnings.get(row, output) for row, output in enumerate(outputs)]


def _take_hidden(outputs: list[str | None], responses: list[Response]) -> _Hidden:
    """Take off the outputs what is not their text."""
    n = len(outputs)
    found = _Hidden(_no(n), _no(n), {}, [])
    forms: list[str | None] = [response.output_form for response in responses]
    for row, form in _present(forms):
        output = outputs[row]
        if not output:
            continue
        if form == "redacted":
            found.redacted.append(row)
            continue
        found.text[row] = True
        outputs[row] = None
        if form == "truncated":
            found.begins[row] = True
            found.beginnings[row] = output
    return found


def _leave_out_redacted(json: JsonColumns, schema_ids: list[str | None], rows: list[int]) -> None:
    """Check no schema of what was redacted, and no JSON where that broke it."""
    for row in rows:
        schema_ids[row] = None
        if json.state[row] != JsonState.VALID:
            json.state[row] = JsonState.NOT_EXPECTED


@dataclass(frozen=True, slots=True)
class _Reasoning:
    """The reasoning of n answers, of which few have any."""

    leaked: Bools
    characters: Ints


def _take_reasoning(outputs: list[str | None], responses: list[Response]) -> _Reasoning:
    """Take leaked reasoning off the outputs."""
    n = len(outputs)
    found = _Reasoning(_no(n), np.zeros(n, np.int64))
    for row, apart in _present([response.reasoning for response in responses]):
        found.characters[row] = len(apart)
    for row, output in enumerate(outputs):
        if output and "<" in output and (split := split_reasoning(output)) is not None:
            outputs[row] = split.answer
            found.leaked[row] = True
            found.characters[row] += len(split.reasoning)
    return found


@dataclass(frozen=True, slots=True)
class _Costs:
    usd: Floats
    unpriced: Bools


def _costs(usages: list[Usage], untimed: Bools) -> _Costs:
    """Costs of n calls; 0 for tokens says that a price is missing."""
    unpriced = _no(len(usages))
    usd = _floats([usage.cost_usd for usage in usages])
    for row in np.flatnonzero(usd == 0.0).tolist():
        usage = usages[row]
        unpriced[row] = bool((usage.input_tokens or 0) + (usage.output_tokens or 0))
    unpriced &= ~untimed
    return _Costs(_known(usd, untimed | unpriced), unpriced)


def _known(values: Floats, unknown: Bools) -> Floats:
    values[unknown] = np.nan
    return values


def _unreadable_fields(events: Sequence[Event]) -> list[list[str]]:
    """What could not be read of n events; nearly all could be."""
    return [
        _NONE if type(event) is not SalvagedEvent else list(event.unreadable_fields)
        for event in events
    ]


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
    return np.frombuffer(bytearray(values), dtype=bool)


def _given(values: Sequence[object]) -> Bools:
    """Whether each of n values is true; absent ones are not."""
    return _bools(list(map(bool, values))) if any(values) else _no(len(values))


def _present(values: list[Value | None]) -> Iterable[tuple[int, Value]]:
    """The rows of n values that are given, and not empty; mostly few."""
    if not any(values):
        return ()
    return ((row, value) for row, value in enumerate(values) if value)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _counts(values: list[int | None]) -> Ints:
    if values.count(None) == len(values):
        return np.full(len(values), -1, dtype=np.int64)
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)


def _floats(values: list[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)


def _damaged_and_hashed(answers: DistinctTexts) -> tuple[Bools, Hashes]:
    """Whether each text is damaged, and its hash: what is found in its bytes."""
    found = [(garbled(coded), _hashes(coded)) for coded in answers.coded()]
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def _hashes(coded: list[bytes]) -> Hashes:
    digest = xxhash.xxh64_intdigest
    return np.array([digest(text) if text else 0 for text in coded], dtype=np.uint64)


def _is_timeout(error_type: str, status: int) -> bool:
    name = error_type.lower()
    return status in _TIMEOUT_STATUSES or "timeout" in name or name == "deadline_exceeded"
