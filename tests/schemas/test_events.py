"""Events as code sees them; which payloads are valid is in `test_examples`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from understudy.schemas.events import (
    CANDIDATE,
    CONTROL,
    MAX_EVENT_BYTES,
    PAIR,
    SHAPES,
    STABLE,
    InvalidEvent,
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


def encoded(**changes: Any) -> bytes:
    return msgspec.json.encode({**VALID, **changes})


def test_an_event_survives_the_wire() -> None:
    event = decode_event(encoded(language="ja", attributes={"team": "search"}))
    assert decode_event(encode_event(event)) == event


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
    assert decode_event(encoded() + padding).pair_id == "a/b"
    with pytest.raises(InvalidEvent) as raised:
        decode_event(encoded() + padding + b" ")
    assert raised.value.reason == "too_large"
    with pytest.raises(InvalidEvent, match="the limit is 10"):
        decode_event(encoded(), max_event_bytes=10)


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
