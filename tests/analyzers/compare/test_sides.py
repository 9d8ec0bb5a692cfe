"""One side at a time: each measure of an event, by cases."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import xxhash

from understudy.analyzers.compare.json_output import NO_DOCUMENT, compile_json_schema
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.sides import SideReading, read_sides
from understudy.schemas.events import Event, decode_event
from understudy.schemas.measures import JsonState

ERROR = {"type": "server_error", "status": 503}


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "schema_version": 1, "rollout_id": "r", "pair_id": "p", "mode": "shadow",
        "side": "stable", "sides": ["stable", "candidate"],
        "request_time": "2025-01-01T00:00:00Z",
    }  # fmt: skip
    return decode_event(json.dumps({**fields, **changes}).encode())


def read(*events: Event, language: str = "en", **options: Any) -> SideReading:
    return read_sides(events, [language] * len(events), CompareOptions(**options))


def measure(name: str, **changes: Any) -> Any:
    """One measure of one event, as plain Python."""
    values = getattr(read(event(**changes)).measures, name)
    value = values[0]
    return value if isinstance(value, str | list) else value.item()


def test_an_event_with_nothing_in_it_has_measures_all_the_same() -> None:
    measures = read(event()).measures
    assert len(measures) == 1
    assert measures.model == [""]
    assert not measures.error[0]
    assert measures.attempts[0] == 1
    assert math.isnan(measures.duration_ms[0])
    assert math.isnan(measures.cost_usd[0])
    assert (measures.input_tokens[0], measures.output_tokens[0]) == (-1, -1)
    assert measures.output_hash[0] == 0
    assert measures.json_schema_valid[0] == measures.language_match[0] == -1


def test_no_events_are_no_rows() -> None:
    reading = read()
    assert len(reading.measures) == 0
    assert reading.outputs == reading.documents == reading.tool_calls == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (False, False, "", 0)),
        (ERROR, (True, False, "server_error", 503)),
        ({"type": "timeout"}, (True, True, "timeout", 0)),
        ({"type": "ReadTimeoutError"}, (True, True, "ReadTimeoutError", 0)),
        ({"type": "DEADLINE_EXCEEDED"}, (True, True, "DEADLINE_EXCEEDED", 0)),
        ({"type": "gateway", "status": 504}, (True, True, "gateway", 504)),
        ({"type": "x", "status": 408}, (True, True, "x", 408)),
        ({"type": "rate_limit", "status": 429}, (True, False, "rate_limit", 429)),
    ],
)
def test_errors_and_timeouts(error: Any, expected: tuple[Any, ...]) -> None:
    names = ("error", "timeout", "error_type", "error_status")
    assert tuple(measure(name, error=error) for name in names) == expected


@pytest.mark.parametrize(
    ("reason", "truncated", "filtered"),
    [
        ("stop", False, False), (None, False, False), ("length", True, False),
        ("LENGTH", True, False), ("max_tokens", True, False), ("content_filter", False, True),
        ("SAFETY", False, True), ("tool_calls", False, False), ("lengthy", False, False),
    ],
)  # fmt: skip
def test_finish_reasons(reason: str | None, truncated: bool, filtered: bool) -> None:
    response = {"finish_reason": reason, "output": "x"}
    assert measure("truncated", response=response) is truncated
    assert measure("content_filtered", response=response) is filtered
    assert measure("truncated", response=response, error=ERROR) is False


@pytest.mark.parametrize(
    ("changes", "finish", "fallback"),
    [
        ({}, False, False),
        ({"response": {"finish_reason": None, "output": "x"}, "fallback": None}, False, False),
        ({"response": {"finish_reason": "", "output": "x"}, "fallback": {}}, False, True),
        ({"response": {"finish_reason": "stop"}, "fallback": {"used": False}}, True, True),
        ({"response": {"finish_reason": "stop"}, "error": ERROR}, False, False),
    ],
)
def test_what_a_gateway_leaves_out_is_unknown(
    changes: dict[str, Any], finish: bool, fallback: bool
) -> None:
    assert measure("finish_reason_known", **changes) is finish
    assert measure("fallback_known", **changes) is fallback


NOT_ITS_OWN: list[dict[str, Any]] = [
    {"type": "client_disconnected", "status": 499},
    {"type": "x", "source": "client"},
    {"type": "insufficient_quota", "status": 429},
    {"type": "timeout", "source": "gateway"},
]


@pytest.mark.parametrize("error", NOT_ITS_OWN)
def test_an_error_of_another_is_no_failure_of_the_model(error: dict[str, Any]) -> None:
    timing, usage = {"duration_ms": 300}, {"cost_usd": 0.1}
    reading = read(event(error=error, timing=timing, usage=usage, response={"output": "x"}))
    measures = reading.measures
    assert not measures.error[0]
    assert not measures.timeout[0]
    assert not measures.model_request[0]
    assert measures.client_error[0] + measures.gateway_error[0] == 1
    assert np.isnan(measures.duration_ms[0]), "how long a user waited before hanging up"
    assert np.isnan(measures.cost_usd[0])
    assert measures.error_type == [error["type"]]
    assert reading.outputs == [None]


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    assert measure("unreadable", response={"output": 7}) is True
    assert measure("error", response={"output": 7}) is True
    assert measure("unreadable", error=ERROR) is False
    assert measure("unreadable_fields", response={"output": 7}) == ["response.output"]
    assert measure("unreadable_fields", response={"output": "x"}) == []


@pytest.mark.parametrize(
    ("usage", "cost", "unpriced"),
    [
        ({"cost_usd": 0, "output_tokens": 5}, None, True),
        ({"cost_usd": 0.0, "input_tokens": 5}, None, True),
        ({"cost_usd": 0, "output_tokens": 0}, 0.0, False),
        ({"cost_usd": 0}, 0.0, False),
        ({"cost_usd": 0.1, "output_tokens": 5}, 0.1, False),
        ({"output_tokens": 5}, None, False),
    ],
)
def test_a_price_of_nothing_for_tokens_is_no_price(
    usage: dict[str, Any], cost: float | None, unpriced: bool
) -> None:
    found = measure("cost_usd", usage=usage)
    assert (None if np.isnan(found) else found) == cost
    assert measure("unpriced", usage=usage) is unpriced


def test_an_answer_from_the_cache_has_no_time_and_no_cost() -> None:
    response = {"output": "x", "cache_hit": True, "stream": True}
    timing = {"duration_ms": 3, "time_to_first_token_ms": 1}
    measures = read(
        event(response=response, timing=timing, usage={"cost_usd": 0, "output_tokens": 4})
    ).measures
    assert measures.cache_hit[0]
    assert np.isnan([measures.duration_ms[0], measures.time_to_first_token_ms[0]]).all()
    assert np.isnan(measures.cost_usd[0])
    assert not measures.unpriced[0], "it had no price to be missing"
    assert measures.output_tokens[0] == 4


@pytest.mark.parametrize(
    ("response", "refused"),
    [
        ({"output": "x"}, False),
        ({"output": None, "refusal": "I will not."}, True),
        ({"output": "x", "refusal": ""}, False),
        ({"output": None, "finish_reason": "SAFETY"}, True),
        ({"output": None, "finish_reason": "refusal"}, True),
        ({"output": "x", "finish_reason": "end_turn"}, False),
    ],
)
def test_refusals(response: dict[str, Any], refused: bool) -> None:
    assert measure("refused", response=response) is refused
    assert measure("refused", response=response, error=ERROR) is False


CALL = {"name": "f", "arguments": {}}


@pytest.mark.parametrize(
    ("response", "empty"),
    [
        ({"output": ""}, True),
        ({"output": None}, True),
        ({"output": " \n\u3000"}, True),
        ({"output": "<think>Long and"}, True),
        ({"output": "x"}, False),
        ({"output": "", "tool_calls": [CALL]}, False),
        ({"output": "", "tool_calls": []}, True),
        ({"output": "", "refusal": "I will not."}, False),
        ({"output": None, "finish_reason": "SAFETY"}, False),
        ({"output": None, "finish_reason": "MALFORMED_FUNCTION_CALL"}, False),
    ],
)
def test_empty_answers(response: dict[str, Any], empty: bool) -> None:
    assert measure("empty", response=response) is empty
    assert measure("empty", response=response, error=ERROR) is False


@pytest.mark.parametrize(
    ("reason", "incomplete"),
    [
        (None, True), ("abort", True), ("error", True), ("cancelled", True), ("incomplete", True),
        ("unknown", True), ("OTHER", True), ("stop", False), ("length", False),
        ("MALFORMED_FUNCTION_CALL", False), ("because", False),
    ],
)  # fmt: skip
def test_streams_that_break_off(reason: str | None, incomplete: bool) -> None:
    response = {"output": "It is", "finish_reason": reason}
    assert measure("incomplete", response={**response, "stream": True}) is incomplete
    assert measure("incomplete", response=response) is False, "not streamed"


SCHEMA = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}


@pytest.mark.parametrize(
    ("call", "broken"),
    [
        ({"name": "f", "arguments": {"city": "Lisbon"}}, False),
        ({"name": "f", "arguments": '{"city": "Lisbon"}'}, False),
        ({"name": "f", "arguments": {"city": 7}}, True),
        ({"name": "f", "arguments": None}, True),
        ({"name": "f", "arguments": '{}{"city": "Lisbon"}'}, True),
        ({"name": "g", "arguments": {"x": 1}}, False),
        ({"name": "g", "arguments": [1]}, True),
        ({"name": "travel.f", "arguments": {"city": "Lisbon"}}, True),
        ({"arguments": {"city": "Lisbon"}}, True),
    ],
)
def test_tool_calls_that_cannot_be_executed(call: dict[str, Any], broken: bool) -> None:
    request = {"tools": [{"name": "f", "parameters": SCHEMA}, "g"]}
    response = {"tool_calls": [call]}
    assert measure("tool_call_invalid", request=request, response=response) is broken
    assert measure("tool_call_invalid", request=request, response=response, error=ERROR) is False


def test_without_offered_tools_any_name_will_do_but_none() -> None:
    assert measure("tool_call_invalid", response={"tool_calls": [CALL]}) is False
    assert measure("tool_call_invalid", response={"tool_calls": [{"name": ""}]}) is True


@pytest.mark.parametrize("schema", [None, {"type": "no such type"}, {"$ref": "http://x/y"}])
def test_a_schema_that_cannot_be_used_checks_nothing(schema: Any) -> None:
    request = {"tools": [{"name": "f", "parameters": schema}]}
    response = {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}
    assert measure("tool_call_invalid", request=request, response=response) is False


def test_missing_tool_calls() -> None:
    request = {"tools": ["f"]}
    assert measure("tool_call_missing", request=request, response={"output": "x"}) is True
    assert measure("tool_call_missing", request=request, response={"tool_calls": [CALL]}) is False
    assert measure("tool_call_missing", response={"output": "x"}) is False
    assert measure("tool_call_missing", request=request, error=ERROR) is False


def test_damaged_characters_and_loops_are_told() -> None:
    assert measure("garbled", response={"output": "caf\ufffd"}) is True
    assert measure("garbled", response={"output": "half \ud83c"}) is True, "as it was read"
    assert measure("garbled", response={"output": "café"}) is False
    assert measure("repetitive", response={"output": "I will say this again. " * 40}) is True


def test_reasoning_is_measured_apart() -> None:
    leaked = read(event(response={"output": "<think>Two.</think>Four.", "reasoning": "Hm."}))
    assert leaked.outputs == ["Four."]
    assert leaked.measures.reasoning_leaked[0]
    assert leaked.measures.reasoning_characters[0] == 3 + 4
    assert leaked.measures.output_characters[0] == 5
    apart = read(event(response={"output": "Four.", "reasoning": "Hm."}))
    assert not apart.measures.reasoning_leaked[0]
    assert apart.measures.reasoning_characters[0] == 3
    assert not read(event(response={"output": "<think>Two"})).measures.text[0]


def test_a_failed_side_has_no_answer_whatever_it_says() -> None:
    answer = {"output": "partial", "tool_calls": [{"name": "f"}], "finish_reason": "length"}
    request = {"expects": "json", "tools": ["f"]}
    reading = read(event(response=answer, request=request, error=ERROR))
    measures = reading.measures
    assert reading.outputs == [None]
    assert reading.tool_calls == [None]
    assert not measures.text[0]
    assert measures.output_hash[0] == 0
    assert measures.json_state[0] == JsonState.NOT_EXPECTED
    assert not measures.tools_offered[0]
    assert measures.tool_call_count[0] == 0


@pytest.mark.parametrize("output", ["x", "héllo", "你好，世界", "🙂" * 500, " ", "\x00"])
def test_the_hash_is_xxhash64_of_utf_8(output: str) -> None:
    found = measure("output_hash", response={"output": output})
    assert found == xxhash.xxh64_intdigest(output.encode())
    assert measure("output_characters", response={"output": output}) == len(output)
    assert measure("text", response={"output": output}) is True


def test_the_hash_of_a_known_text() -> None:
    """SELECT xxHash64('understudy') in ClickHouse says the same."""
    assert measure("output_hash", response={"output": "understudy"}) == 17738713221290019134


@pytest.mark.parametrize("output", ["", None])
def test_an_empty_output_is_no_text(output: str | None) -> None:
    assert measure("text", response={"output": output}) is False
    assert measure("output_hash", response={"output": output}) == 0


@pytest.mark.parametrize(
    ("expects", "output", "state"),
    [
        ("text", "{}", JsonState.NOT_EXPECTED),
        ("json", "{}", JsonState.VALID),
        ("json_schema", "[1]", JsonState.VALID),
        ("json", "```json\n{}\n```", JsonState.FENCED),
        ("json", '{"a": ', JsonState.TRUNCATED),
        ("json", "Sure, here it is.", JsonState.NOT_JSON),
        ("json", 'Sure: {"a": 1}', JsonState.TRAILING_TEXT),
        ("json", "", JsonState.NOT_JSON),
        ("json", None, JsonState.NOT_JSON),
        ("json", "[" * 500 + "]" * 500, JsonState.TOO_DEEP),
    ],
)
def test_json_only_where_it_is_expected(expects: str, output: str | None, state: JsonState) -> None:
    changes = {"request": {"expects": expects}, "response": {"output": output}}
    assert measure("json_state", **changes) == state
    (document,) = read(event(**changes)).documents
    assert (document is NO_DOCUMENT) is (state != JsonState.VALID)


def test_json_schemas_by_name() -> None:
    schemas = {"order": compile_json_schema('{"required": ["id"]}')}
    cases = [("order", '{"id": 1}', 1), ("order", "{}", 0), ("order", "no", 0),
             ("unknown", "{}", -1), (None, "{}", -1)]  # fmt: skip
    events = [
        event(request={"expects": "json_schema", "schema_id": name}, response={"output": output})
        for name, output, _ in cases
    ]
    found = read(*events, json_schemas=schemas).measures.json_schema_valid
    assert found.tolist() == [expected for _, _, expected in cases]


def test_time_to_first_token_only_when_streamed() -> None:
    timing = {"duration_ms": 900.0, "time_to_first_token_ms": 100.0}
    assert measure("time_to_first_token_ms", timing=timing, response={"stream": True}) == 100.0
    assert math.isnan(measure("time_to_first_token_ms", timing=timing, response={"stream": False}))
    assert measure("duration_ms", timing=timing) == 900.0


def test_zero_is_not_missing() -> None:
    usage = {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0}
    for name in usage:
        assert measure(name, usage=usage) == 0
    assert measure("duration_ms", timing={"duration_ms": 0}) == 0.0


def test_fallbacks_attempts_and_who_was_served() -> None:
    fallback = {"used": True, "attempts": 3, "model": "other"}
    assert measure("fallback", fallback=fallback) is True
    assert measure("attempts", fallback=fallback) == 3
    assert measure("fallback", fallback={"attempts": 2}) is False
    assert measure("served", served=True) is True


@pytest.mark.parametrize(
    ("arguments", "invalid"),
    [({"a": 1}, False), ('{"a": 1}', False), (None, False), ("", False), ("{", True), ([1], True)],
)
def test_tool_calls(arguments: Any, invalid: bool) -> None:
    calls = [{"name": "f"}, {"name": "g", "arguments": arguments}]
    changes = {"response": {"tool_calls": calls}, "request": {"tools": ["f", "g"]}}
    assert measure("tool_call_count", **changes) == 2
    assert measure("tools_offered", **changes) is True
    assert measure("tool_arguments_invalid", **changes) is invalid
    assert measure("tools_offered", request={"tools": []}) is False


def test_language_is_looked_at_in_text_answers_alone() -> None:
    text = "This is plainly an English sentence, and the next one is one as well."
    answer = {"response": {"output": text}}
    assert read(event(**answer), language="en").measures.language_match.tolist() == [1]
    assert read(event(**answer), language="ja").measures.language_match.tolist() == [0]
    assert read(event(**answer), language="und").measures.language_match.tolist() == [-1]
    asked = event(**answer, request={"expects": "json"})
    assert read(asked, language="ja").measures.language_match.tolist() == [-1]


def test_each_row_is_read_by_itself() -> None:
    events = [
        event(), event(error=ERROR), event(response={"output": "x"}),
        event(request={"expects": "json"}, response={"output": "{}"}),
        event(usage={"cost_usd": 1}), event(timing={"duration_ms": 5}),
    ]  # fmt: skip
    together = read(*events).measures
    for row, one in enumerate(events):
        alone = read(one).measures
        for name in alone.__dataclass_fields__:
            left, right = getattr(together, name)[row], getattr(alone, name)[0]
            assert left == right or (left != left and right != right), name


@pytest.mark.parametrize(
    ("output", "garbled", "repetitive"),
    [
        (None, False, False),
        ("", False, False),
        ("Done, see you on Friday.", False, False),
        ("Gracias, se\ufffd\ufffdor", True, False),
        ("Happy to help with that. " * 20, False, True),
    ],
)
def test_damaged_and_repetitive_answers(
    output: str | None, garbled: bool, repetitive: bool
) -> None:
    response = {"output": output}
    assert measure("garbled", response=response) is garbled
    assert measure("repetitive", response=response) is repetitive
    assert measure("garbled", response=response, error=ERROR) is False


def test_leaked_reasoning_before_json_is_text_around_it() -> None:
    """The caller's parser gets both."""
    output = '<think>so a is 1</think>{"a": 1}'
    reading = read(event(response={"output": output}, request={"expects": "json"}))
    assert reading.measures.reasoning_leaked[0]
    assert reading.measures.json_state[0] == JsonState.TRAILING_TEXT
    assert reading.documents == [NO_DOCUMENT]


# Texts that a gateway did not send as they were

HASH = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("form", ["hashed", "truncated"])
def test_what_is_not_the_answers_text_is_not_measured(form: str) -> None:
    answer = {"output": HASH, "output_form": form, "finish_reason": "stop"}
    reading = read(event(request={"expects": "json", "schema_id": "s"}, response=answer),
                   json_schemas={"s": compile_json_schema(b"{}")})  # fmt: skip
    measures = reading.measures
    assert reading.outputs == [None]
    assert measures.answered[0]
    assert not (measures.text | measures.empty | measures.garbled | measures.repetitive)[0]
    assert measures.json_state[0] == JsonState.NOT_EXPECTED
    assert measures.json_schema_valid[0] == -1
    assert (measures.output_characters[0], measures.output_hash[0]) == (-1, 0)


def test_beginning_tells_the_language_and_a_hash_does_not() -> None:
    german = "Der Vertrag wurde gestern von beiden Seiten unterschrieben und"
    begun = {"output": german, "output_form": "truncated"}
    assert measure("output_language", response=begun) == "de"
    assert measure("language_match", response=begun) == 0
    assert measure("language_match", response={**begun, "output_form": "hashed"}) == -1
    assert measure("text", response=begun) is False


@pytest.mark.parametrize(
    ("output", "state"), [('{"a": "[phone]"}', JsonState.VALID),
                          ('{"a": [phone]}', JsonState.NOT_EXPECTED)],
)  # fmt: skip
def test_redacted_answer_fails_no_check_that_redaction_may_have_broken(
    output: str, state: JsonState
) -> None:
    schema = compile_json_schema(b'{"properties": {"a": {"type": "number"}}}')
    answer = {"output": output, "output_form": "redacted"}
    measures = read(
        event(request={"expects": "json_schema", "schema_id": "s"}, response=answer),
        json_schemas={"s": schema},
    ).measures
    assert (measures.json_state[0], measures.json_schema_valid[0]) == (state, -1)
    assert measures.text[0]


def test_blank_answer_is_empty_whatever_its_form() -> None:
    assert measure("empty", response={"output": " ", "output_form": None}) is True
    assert measure("empty", response={"output": "", "output_form": "hashed"}) is True


@pytest.mark.parametrize(
    ("output", "calls", "state"),
    [
        (None, [{"name": "f"}], JsonState.NOT_EXPECTED),
        ("  ", [{"name": "f"}], JsonState.NOT_EXPECTED),
        ("I'll look.", [{"name": "f"}], JsonState.NOT_JSON),
        ("{}", [{"name": "f"}], JsonState.VALID),
        (None, [], JsonState.NOT_JSON),
    ],
)
def test_nobody_parses_an_answer_that_only_calls_a_tool(
    output: str | None, calls: list[dict[str, Any]], state: JsonState
) -> None:
    response = {"output": output, "tool_calls": calls}
    assert measure("json_state", request={"expects": "json"}, response=response) == state
