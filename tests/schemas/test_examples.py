"""Every example is judged alike by the decoder and by the JSON Schema file."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from understudy.schemas.events import (
    Event,
    InvalidEvent,
    InvalidReason,
    SalvagedEvent,
    decode_event,
)
from understudy.schemas.examples import (
    DamagedExample,
    InvalidExample,
    ValidEvent,
    damaged_events,
    invalid_events,
    valid_events,
)
from understudy.schemas.json_schema import CONTRACTS

VALID = valid_events()
INVALID = invalid_events()
DAMAGED = damaged_events()
INVALID_JSON = [
    example
    for example in INVALID
    if example.reason not in (InvalidReason.NOT_JSON, InvalidReason.EMPTY)
]


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Validator:
    text = next(c for c in CONTRACTS if c.name == "event").path.read_text("utf-8")
    return jsonschema_rs.validator_for(text, validate_formats=True)


def parsed(payload: bytes) -> object:
    """The payload as a JSON library reads it that is stricter than Python's about NaN."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(payload, parse_constant=refuse)


@pytest.mark.parametrize("example", VALID, ids=lambda e: e.name)
def test_valid_examples_are_accepted(example: ValidEvent, schema: jsonschema_rs.Validator) -> None:
    assert type(decode_event(example.payload)) is Event
    schema.validate(parsed(example.payload))


@pytest.mark.parametrize("example", INVALID, ids=lambda e: e.name)
def test_invalid_examples_are_refused_for_the_reason_given(example: InvalidExample) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        decode_event(example.payload)
    assert refusal.value.reason == example.reason
    assert str(refusal.value)


@pytest.mark.parametrize("example", DAMAGED, ids=lambda e: e.name)
def test_damaged_examples_are_read_but_for_what_cannot_be(example: DamagedExample) -> None:
    event = decode_event(example.payload)
    assert isinstance(event, SalvagedEvent)
    assert event.unreadable_fields == example.unreadable_fields
    assert event.pair_id


@pytest.mark.parametrize("example", INVALID_JSON, ids=lambda e: e.name)
def test_the_json_schema_refuses_what_it_can(
    example: InvalidExample, schema: jsonschema_rs.Validator
) -> None:
    assert schema.is_valid(parsed(example.payload)) is not example.schema_refuses


def test_there_are_examples_of_what_matters() -> None:
    events = [decode_event(example.payload) for example in VALID]
    assert {event.mode for event in events} == {"shadow", "interleave", "canary", "ab"}
    assert {event.side for event in events} == {"stable", "candidate", "control"}
    assert any(event.error for event in events)
    assert any(event.fallback and event.fallback.used for event in events)
    assert {example.reason for example in INVALID} == {
        InvalidReason.EMPTY,
        InvalidReason.NOT_JSON,
        InvalidReason.UNSUPPORTED_VERSION,
        InvalidReason.SCHEMA,
        InvalidReason.SIDES,
    }


def test_names_say_why() -> None:
    examples = [*INVALID, *DAMAGED]
    assert all(example.why.endswith(".") for example in examples)
    assert len({example.payload for example in examples}) == len(examples)
