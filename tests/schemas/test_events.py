"""Events as code sees them; which payloads are valid is in `test_examples`."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, cast, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.events import (
    CANDIDATE,
    CONTROL,
    MAX_COST_USD,
    MAX_EVENT_BYTES,
    MAX_SALVAGED_BYTES,
    MAX_TURN,
    PAIR,
    SHAPES,
    STABLE,
    Error,
    ErrorSource,
    Event,
    Expects,
    Fallback,
    InvalidEvent,
    Mode,
    Request,
    Response,
    SalvagedEvent,
    Side,
    Timing,
    Tool,
    ToolCall,
    Usage,
    decode_event,
    decode_side,
    encode_event,
    event_key,
    identity_of,
    peek,
    request_time_ms,
    turn_of,
)

VALID: dict[str, Any] = {
    "schema_version": 1,
    "rollout_id": "helpdesk",
    "pair_id": "a/b",
    "mode": "shadow",
    "side": "stable",
    "sides": ["stable", "candidate"],
    "request_time": "2026-03-02T12:00:00.001Z",
    "response": {"output": "hello"},
}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode({**VALID, **changes})


def test_an_event_survives_the_wire() -> None:
    event = decode_event(encoded(language="ja", attributes={"team": "search"}))
    assert decode_event(encode_event(event)) == event


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
).map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
"""Arguments and schemas, as the bytes that a decoder keeps."""


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any valid event, whatever is unknown of it."""
    mode, side, sides = draw(st.sampled_from(sorted(SHAPES)))
    labels, counts = maybe(TEXTS), maybe(st.integers(0, 2**31 - 1))
    durations = maybe(st.floats(0, 1e8))
    tools = st.lists(TEXTS | st.builds(Tool, TEXTS, JSON_VALUES), max_size=2).map(tuple)
    calls = st.lists(st.builds(ToolCall, TEXTS, JSON_VALUES), max_size=2).map(tuple)
    return Event(
        schema_version=1,
        rollout_id=draw(st.from_regex(r"[a-z]{1,9}", fullmatch=True)),
        pair_id=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)),
        mode=cast(Mode, mode),
        side=cast(Side, side),
        sides=cast("tuple[Side, ...]", sides),
        request_time=draw(
            st.datetimes(
                dt.datetime(2001, 1, 2), dt.datetime(2098, 1, 1), timezones=st.just(dt.UTC)
            )
        ),
        conversation_id=draw(labels),
        turn=draw(maybe(st.integers(1, MAX_TURN))),
        served=draw(maybe(st.booleans())),
        language=draw(labels),
        workflow=draw(labels),
        request=draw(
            maybe(
                st.builds(
                    Request, labels, maybe(st.sampled_from(get_args(Expects))), labels, maybe(tools)
                )
            )
        ),
        response=draw(
            maybe(
                st.builds(
                    Response, labels, labels, maybe(calls), labels, labels, labels,
                    maybe(st.booleans()), maybe(st.booleans()),
                )
            )
        ),
        error=draw(
            maybe(
                st.builds(
                    Error, TEXTS, maybe(st.integers(0, 999)),
                    maybe(st.sampled_from(get_args(ErrorSource))),
                )
            )
        ),
        usage=draw(maybe(st.builds(Usage, counts, counts, durations.map(_price), counts, counts))),
        timing=draw(maybe(st.builds(Timing, durations, durations))),
        fallback=draw(
            maybe(
                st.builds(
                    Fallback, maybe(st.booleans()), labels, labels, maybe(st.integers(1, 1000)),
                    maybe(st.booleans()),
                )
            )
        ),
        attributes=draw(maybe(st.dictionaries(TEXTS, labels, max_size=2))),
    )  # fmt: skip


def _price(value: float | None) -> float | None:
    return None if value is None else value / 1e8 * MAX_COST_USD


@given(events())
def test_any_valid_event_survives_the_wire(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


def test_half_an_emoji_does_not_keep_an_event_from_being_sent() -> None:
    event = msgspec.structs.replace(
        decode_event(encoded()),
        request=Request(tools=("find\ud83c", Tool("x", msgspec.Raw(b'{"type": "object"}')))),
        response=Response(output="so \ud83c", tool_calls=(ToolCall("x", msgspec.Raw(b"[1]")),)),
        attributes={"\ud83c": "\udf0d"},
    )
    sent = decode_event(encode_event(event))
    assert sent.response == msgspec.structs.replace(event.response, output="so \ufffd")
    assert sent.request is not None
    assert sent.request.tools == ("find\ufffd", Tool("x", msgspec.Raw(b'{"type": "object"}')))
    assert sent.attributes == {"\ufffd": "\ufffd"}


def test_what_is_absent_is_left_out_of_the_wire() -> None:
    assert set(msgspec.json.decode(encode_event(decode_event(encoded())))) == set(VALID)


@pytest.mark.parametrize(
    ("mode", "sides", "bits"),
    [
        ("shadow", ["stable", "candidate"], PAIR),
        ("shadow", ["candidate", "stable"], PAIR),
        ("interleave", ["stable", "candidate", "control"], PAIR | CONTROL),
        ("canary", ["stable"], STABLE),
        ("ab", ["candidate"], CANDIDATE),
    ],
)
def test_the_sides_that_a_request_has(mode: str, sides: list[str], bits: int) -> None:
    for side in sides:
        assert decode_side(encoded(mode=mode, side=side, sides=sides))[1] == bits


def test_every_shape_contains_its_own_side() -> None:
    assert all(side in sides for _, side, sides in SHAPES)


def test_time_is_whole_milliseconds_rounded_down() -> None:
    times = {"12:00:00.001Z": 1, "12:00:00.0019Z": 1, "13:00:00.002+01:00": 2}
    noon_ms = round(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC).timestamp() * 1000)
    for written, ms in times.items():
        event = decode_event(encoded(request_time=f"2026-03-02T{written}"))
        assert request_time_ms(event) == noon_ms + ms, written


def test_the_largest_event_is_read_and_a_byte_more_is_not() -> None:
    padding = b" " * (MAX_EVENT_BYTES - len(encoded()))
    assert type(decode_event(encoded() + padding)) is Event
    assert isinstance(decode_event(encoded() + padding + b" "), SalvagedEvent)
    with pytest.raises(InvalidEvent, match="the limit is 10"):
        decode_event(b"[" * 11, max_event_bytes=10)


@pytest.mark.parametrize(
    ("changes", "fields", "error", "output"),
    [
        ({"response": {"output": "x" * 2_000, "model": "m"}}, ("response",), "unreadable", None),
        ({"response": {"reasoning": "x" * 2_000}}, ("response",), "unreadable", None),
        ({"response": {"tool_calls": [{"name": "f", "arguments": "x" * 2_000}]}}, ("response",),
         "unreadable", None),
        ({"request": {"prompt": "x" * 2_000}}, ("request",), None, "hello"),
        ({"response": {"output": "x" * 2_000}, "error": {"type": "timeout"}}, ("response",),
         "timeout", None),
        ({"response": {"output": "x" * 2_000}, "usage": {"cost_usd": -1}},
         ("usage.cost_usd", "response"), "unreadable", None),
    ],
)  # fmt: skip
def test_runaway_text_is_its_sides_failure(
    changes: dict[str, Any], fields: tuple[str, ...], error: str | None, output: str | None
) -> None:
    event = decode_event(encoded(**{"timing": {"duration_ms": 7}, **changes}), 1_000)
    assert isinstance(event, SalvagedEvent)
    assert event.unreadable_fields == fields
    assert (event.error.type if event.error else None) == error
    assert event.response is not None
    assert event.response.output == output
    assert event.timing is not None
    assert event.timing.duration_ms == 7, "what is small is read"


def test_a_large_record_without_an_identity_is_too_large() -> None:
    with pytest.raises(InvalidEvent) as raised:
        decode_event(encoded(pair_id=7, response={"output": "x" * 2_000}), 1_000)
    assert raised.value.reason == "too_large"


def test_what_no_broker_lets_pass_is_not_read_at_all() -> None:
    with pytest.raises(InvalidEvent) as raised:
        decode_event(encoded() + b" " * MAX_SALVAGED_BYTES)
    assert raised.value.reason == "too_large"


OPTIONAL = [
    "conversation_id", "turn", "served", "language", "workflow", "request", "response", "error",
    "usage", "timing", "fallback", "attributes", "request.prompt", "request.expects",
    "request.schema_id", "request.tools", "request.prompt_form", "response.model",
    "response.output",
    "response.tool_calls", "response.finish_reason", "response.refusal", "response.reasoning",
    "response.stream", "response.cache_hit", "response.output_form",
    "error.status", "error.source", "usage.input_tokens",
    "usage.cached_input_tokens", "usage.output_tokens", "usage.reasoning_tokens", "usage.cost_usd",
    "timing.duration_ms", "timing.time_to_first_token_ms", "fallback.used", "fallback.model",
    "fallback.reason", "fallback.attempts", "fallback.final", "attributes.team",
]  # fmt: skip


def test_all_optional_fields_are_named_here() -> None:
    found = set()
    for one in msgspec.structs.fields(Event):
        if not one.required:
            found.add(one.name)
        for inner in get_args(one.type):
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                found |= {
                    f"{one.name}.{f.name}" for f in msgspec.structs.fields(inner) if not f.required
                }
    assert found == set(OPTIONAL) - {"attributes.team"}


@pytest.mark.parametrize("path", OPTIONAL)
def test_every_optional_field_may_be_null(path: str) -> None:
    section, _, name = path.partition(".")
    error = {"type": "x"} if section == "error" else {}
    changes = {section: {**error, name: None} if name else None}
    assert type(decode_event(encoded(**changes))) is Event, "at full speed"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"usage": {"cost_usd": -0.00012, "output_tokens": 3}}, "usage.cost_usd"),
        ({"usage": {"cost_usd": "0.1"}}, "usage.cost_usd"),
        ({"usage": {"output_tokens": 28.0}}, "usage.output_tokens"),
        ({"usage": {"output_tokens": True}}, "usage.output_tokens"),
        ({"usage": [1]}, "usage"),
        ({"timing": {"duration_ms": -3.4}}, "timing.duration_ms"),
        ({"timing": {"duration_ms": float("nan")}}, "timing.duration_ms"),
        ({"error": {"type": "x", "status": "429"}}, "error.status"),
        ({"error": {"type": "x", "source": "moon"}}, "error.source"),
        ({"error": {"type": "x" * 200}}, "error.type"),
        ({"error": {"type": "half \ud83c"}}, "error.type"),
        ({"error": {"code": "rate_limit"}}, "error.type"),
        ({"error": "rate_limit"}, "error"),
        ({"attributes": {"team": 12, "other": "x"}}, "attributes"),
        ({"attributes": "x"}, "attributes"),
        ({"served": "yes"}, "served"),
        ({"language": "x" * 99}, "language"),
        ({"workflow": 7}, "workflow"),
        ({"turn": 0}, "turn"),
        ({"turn": "2"}, "turn"),
        ({"fallback": {"attempts": 0, "used": True}}, "fallback.attempts"),
        ({"response": {"output": "x", "finish_reason": "x" * 200}}, "response.finish_reason"),
        ({"response": {"output": "x", "stream": 1}}, "response.stream"),
        ({"request": {"expects": "yaml"}}, "request.expects"),
        ({"request": "hello"}, "request"),
        ({"request": {"tools": [7, "f"]}}, "request.tools"),
        ({"response": {"output": "half \ud83c"}}, "response.output"),
    ],
)
def test_a_broken_measurement_is_unknown_and_the_rest_is_read(
    changes: dict[str, Any], field: str
) -> None:
    event = decode_event(json.dumps({**VALID, **changes}).encode())
    assert isinstance(event, SalvagedEvent)
    assert event.unreadable_fields == (field,)
    assert event.error is None or event.error.type != "unreadable"
    assert type(decode_event(encode_event(event))) is Event, "what is left is as it should be"


@pytest.mark.parametrize(
    "changes",
    [
        {"rollout_id": 7}, {"rollout_id": "\ud83c"}, {"pair_id": None}, {"pair_id": "x" * 300},
        {"side": "both"}, {"sides": "stable"}, {"mode": None}, {"request_time": 5},
        {"schema_version": "1"}, {"conversation_id": 7}, {"conversation_id": "\ud83c"},
    ],
)  # fmt: skip
def test_what_has_no_identity_is_refused_whatever_else_is_broken(changes: dict[str, Any]) -> None:
    broken = {**VALID, "usage": {"cost_usd": -1}, **changes}
    with pytest.raises(InvalidEvent) as raised:
        decode_event(json.dumps(broken).encode())
    assert raised.value.reason in ("schema", "not_json")


def test_what_is_wrong_with_the_identity_is_said_and_not_what_else_is_broken() -> None:
    broken = {"usage": {"cost_usd": -1}, **VALID, "pair_id": 7}
    with pytest.raises(InvalidEvent, match="pair_id"):
        decode_event(json.dumps(broken).encode())


def test_a_broken_event_of_another_version_is_of_another_version() -> None:
    payload = encoded(schema_version=2).replace(b"hello", b"half \\ud83c")
    with pytest.raises(InvalidEvent) as raised:
        decode_event(payload)
    assert raised.value.reason == "unsupported_version"


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ({"output": {"a": 1}}, "unreadable"),
        ({"output": 7}, "unreadable"),
        ({"output": [{"type": "image_url"}]}, "unreadable"),
        (7, "unreadable"),
        ({"tool_calls": "f()"}, "unreadable"),
        ({"output": {"a": 1}, "tool_calls": [{"name": "f"}]}, None),
        ({"output": {"a": 1}, "refusal": "no"}, None),
        ({"output": "x", "tool_calls": 7}, None),
        ({"output": []}, None),
    ],
)
def test_where_no_answer_is_left_the_side_has_failed(response: Any, error: str | None) -> None:
    event = decode_event(encoded(response=response))
    assert (event.error.type if event.error else None) == error


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    ("field", "error", "unreadable"),
    [
        ('"response": {"output": DEEP}', "unreadable", ("response.output",)),
        ('"response": {"tool_calls": [{"name": "f", "arguments": DEEP}]}', None,
         ("response.tool_calls",)),
        ('"response": {"output": "hi"}, "attributes": {"a": DEEP}', None, ("attributes",)),
        ('"request": {"tools": [{"name": "f", "parameters": DEEP}]}', None, ("request.tools",)),
        ('"request": {"prompt": DEEP}', None, ("request.prompt",)),
        ('"extra": DEEP', None, ()),
    ],
)  # fmt: skip
def test_json_that_nests_beyond_all_measure_is_its_sides_failure(
    field: str, error: str | None, unreadable: tuple[str, ...]
) -> None:
    text = encoded(response=None, request=None).decode().replace('"response": null, ', "")
    text = text.replace('"request": null, ', "")
    event = decode_event(f"{text[:-1]}, {field.replace('DEEP', DEEP)}}}".encode())
    assert (event.error.type if event.error else None) == error
    assert isinstance(event, SalvagedEvent)
    assert event.unreadable_fields == unreadable


def test_an_answer_is_not_lost_to_a_byte_order_mark_or_a_raw_newline() -> None:
    for payload in (b"\xef\xbb\xbf" + encoded(), encoded().replace(b"hello", b"hel\nlo")):
        event = decode_event(payload)
        assert event.response is not None
        assert event.response.output in ("hello", "hel\nlo")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "helpdesk/a/b"),
        ({"conversation_id": None, "turn": None}, "helpdesk/a/b"),
        ({"conversation_id": "", "turn": 2}, "helpdesk/a/b"),
        ({"conversation_id": "c/1", "turn": 2}, "helpdesk/c/1"),
        ({"conversation_id": "c/1"}, "helpdesk/c/1"),
    ],
)
def test_a_key_brings_all_sides_and_all_turns_together(changes: dict[str, Any], key: str) -> None:
    for side in ("stable", "candidate"):
        payload = encoded(side=side, **changes)
        identity = identity_of(payload)
        assert identity is not None
        assert event_key(decode_event(payload)) == event_key(identity) == key


@pytest.mark.parametrize(
    ("changes", "turn"),
    [
        ({"conversation_id": "c", "turn": 3}, 3),
        ({"conversation_id": "c"}, 0),
        ({"conversation_id": "c", "turn": None}, 0),
        ({"turn": 3}, 0),
        ({"conversation_id": "", "turn": 3}, 0),
    ],
)
def test_a_turn_is_known_only_in_a_conversation(changes: dict[str, Any], turn: int) -> None:
    assert turn_of(decode_event(encoded(**changes))) == turn


def test_the_side_that_tells_the_turn_tells_it_for_both() -> None:
    silent, telling = (decode_event(encoded(conversation_id="c", turn=turn)) for turn in (None, 4))
    assert turn_of(silent, telling) == turn_of(telling, silent) == 4


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (b'{"rollout_id": "r", "mode": 1}', {"rollout_id": "r", "mode": 1}),
        (b"[1]", {}),
        (b"{", {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
        (b"", {}),
        (None, {}),
    ],
)
def test_of_what_failed_the_fields_that_can_be_had(
    payload: bytes | None, fields: dict[str, Any]
) -> None:
    assert peek(payload) == fields
