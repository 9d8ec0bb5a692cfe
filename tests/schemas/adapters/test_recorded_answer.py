"""An answer from anywhere, as the event's parts."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from understudy.schemas.adapters.recorded_answer import (
    RecordedAnswer,
    answer_of,
    event_of,
    id_text,
)
from understudy.schemas.events import (
    Error,
    Request,
    Response,
    Timing,
    ToolCall,
    Usage,
    decode_event,
    encode_event,
)

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def test_a_document_becomes_the_parts_of_an_event() -> None:
    answer = answer_of(
        {
            "id": 7,
            "language": "de",
            "request": {"prompt": [{"role": "user", "content": "Was?"}], "expects": "json"},
            "response": {
                "output": [{"type": "output_text", "text": "{}"}],
                "tool_calls": [{"function": {"name": "find", "arguments": '{"a":1}'}}],
            },
            "usage": {"input_tokens": 3, "output_tokens": "4"},
            "timing": {"duration_ms": 12},
            "surprise": 1,
        }
    )
    assert answer == RecordedAnswer(
        id="7",
        language="de",
        request=Request(prompt="Was?", expects="json"),
        response=Response(
            output="{}", tool_calls=(ToolCall("find", msgspec.Raw(b'"{\\"a\\":1}"')),)
        ),
        usage=Usage(input_tokens=3),
        timing=Timing(duration_ms=12),
        unreadable_fields=("usage.output_tokens",),
    )


def test_an_answer_of_which_nothing_can_be_read_is_its_sides_error() -> None:
    answer = answer_of({"id": "a", "response": {"output": 12}})
    assert answer.error == Error(type="unreadable")
    assert answer.unreadable_fields == ("response.output",)


@pytest.mark.parametrize("value", [None, "", True, 1.5, ["a"]])
def test_what_names_no_request_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no id"):
        answer_of({"id": value})


def test_ids_fit_into_a_pair_id_and_stay_different() -> None:
    assert id_text(12) == "12"
    assert id_text("a" * 256) == "a" * 256
    assert len({id_text("a" * 300), id_text("a" * 299 + "b")}) == 2
    assert max(len(id_text("a" * 300)), 64) == 64
    assert id_text("\ud83c") == "?"


def test_an_answer_becomes_a_valid_event() -> None:
    answer = answer_of(
        {"id": "a", "response": {"output": "so"}, "conversation_id": "c", "turn": 2, "served": True}
    )
    event = event_of(
        answer,
        rollout_id="r",
        mode="shadow",
        side="candidate",
        sides=("stable", "candidate"),
        request_time=NOON,
    )
    assert decode_event(encode_event(event)) == event
    assert (event.pair_id, event.conversation_id, event.turn, event.served) == ("a", "c", 2, True)
    assert event.request_time == NOON
    assert event.response == Response(output="so")
