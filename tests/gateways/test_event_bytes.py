"""Whatever a model answered becomes bytes that a worker can read."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.event_bytes import event_bytes
from understudy.schemas.events import (
    MAX_EVENT_BYTES,
    Event,
    Request,
    Response,
    ToolCall,
    decode_event,
)

MAX_BYTES = 4_096


def event(**fields: object) -> Event:
    made = Event(
        schema_version=1, rollout_id="r", pair_id="p", mode="shadow", side="candidate",
        sides=("stable", "candidate"), request_time=dt.datetime(2026, 3, 4, tzinfo=dt.UTC),
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def test_small_event_is_left_as_it_is() -> None:
    whole = event(request=Request(prompt="hi"), response=Response(output="hello"))
    assert decode_event(event_bytes(whole, MAX_BYTES)) == whole


def test_long_prompt_goes_before_the_answer_is_touched() -> None:
    large = event(
        request=Request(prompt="x" * MAX_BYTES, expects="json", schema_id="s"),
        response=Response(output="{}"), attributes={"a": "b"},
    )  # fmt: skip
    payload = event_bytes(large, MAX_BYTES)
    read = decode_event(payload)
    assert len(payload) <= MAX_BYTES
    assert read.request == Request(expects="json", schema_id="s")
    assert (read.response, read.attributes, read.error) == (Response(output="{}"), None, None)


@pytest.mark.parametrize("text", ["x" * MAX_BYTES, "漢" * (MAX_BYTES // 2)])
def test_answer_that_is_too_large_is_its_sides_failure(text: str) -> None:
    payload = event_bytes(event(response=Response(model="m", output=text)), MAX_BYTES)
    read = decode_event(payload)
    assert len(payload) <= MAX_BYTES
    assert read.response == Response(model="m")
    assert read.error is not None
    assert read.error.type == "unreadable"


def test_half_an_emoji_is_replaced_wherever_it_stands() -> None:
    half = "a\ud83d"
    damaged = event(
        pair_id=half, request=Request(prompt=half, tools=(half,)),
        response=Response(output=half, tool_calls=(ToolCall(half, msgspec.Raw(b"{}")),)),
        attributes={half: half},
    )  # fmt: skip
    read = decode_event(event_bytes(damaged, MAX_BYTES))
    assert read.response is not None
    assert read.response.output == "a\ufffd"
    assert read.response.tool_calls == (ToolCall("a\ufffd", msgspec.Raw(b"{}")),)
    assert read.attributes == {"a\ufffd": "a\ufffd"}


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_text_can_be_written_and_read(text: str) -> None:
    read = decode_event(event_bytes(event(response=Response(output=text)), MAX_EVENT_BYTES))
    assert read.response is not None
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read.response.output == expected
