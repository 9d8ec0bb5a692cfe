"""Bodies of model APIs, made after the documentation of each."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.schemas.adapters.api_bodies import answer_parts, error_of, request_parts, usage_of
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, answer_of
from understudy.schemas.adapters.recording import without_unknown
from understudy.schemas.events import Error, Usage


def answer(body: dict[str, Any]) -> RecordedAnswer:
    parts = answer_parts(body)
    assert parts is not None
    return answer_of(without_unknown({"id": "a", **parts}))


CHAT = {
    "object": "chat.completion",
    "model": "wren-1",
    "choices": [
        {
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
}
RESPONSE = {
    "object": "response",
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "model": "wren-1",
    "error": None,
    "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Once"}]},
        {"type": "function_call", "name": "find", "arguments": '{"a":1}'},
    ],
    "usage": {
        "input_tokens": 20,
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
    },
}
MESSAGE = {
    "type": "message",
    "model": "heron-4",
    "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "name": "find", "input": {}}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3},
}


def test_a_chat_completion() -> None:
    read = answer(CHAT)
    assert read.response is not None
    assert [call.name for call in read.response.tool_calls or ()] == ["find"]
    assert read.response.finish_reason == "tool_calls"
    assert read.usage == Usage(20, 9, None, 8, 4)
    assert read.unreadable_fields == ()


def test_a_response_with_reasoning_and_a_call() -> None:
    read = answer(RESPONSE)
    assert read.response is not None
    assert (read.response.output, read.response.reasoning) == ("Once", "Hm.")
    assert [call.name for call in read.response.tool_calls or ()] == ["find"]
    assert read.response.finish_reason == "max_output_tokens"
    assert read.usage == Usage(input_tokens=20, output_tokens=9, reasoning_tokens=4)
    assert read.unreadable_fields == ()


def test_a_message_whose_cached_tokens_count_apart() -> None:
    read = answer(MESSAGE)
    assert read.response is not None
    assert read.response.output == "Hi"
    assert read.usage == Usage(input_tokens=15, output_tokens=3, cached_input_tokens=5)


def test_a_completion_without_messages() -> None:
    read = answer({"choices": [{"text": "so", "finish_reason": "stop"}]})
    assert read.response is not None
    assert read.response.output == "so"


def test_embeddings_and_errors() -> None:
    assert answer_parts({"object": "list", "data": [{"embedding": [0.1]}]}) is None
    assert answer({"error": {"message": "m", "type": "server_error", "code": None}}).error == Error(
        "server_error"
    )


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"code": "batch_expired", "type": None}, None, "batch_expired"),
        ({"type": "invalid_request_error"}, 400, "invalid_request_error"),
        ({}, 503, "503"),
        ("timeout", None, "timeout"),
        (None, None, "unknown"),
    ],
)
def test_an_error_is_named_by_what_tells_most(error: Any, status: int | None, kind: str) -> None:
    assert error_of(error, status) == {"type": kind, "status": status}


def test_usage_that_is_none() -> None:
    assert usage_of(None) is None


def test_what_was_asked_for_and_the_schema_that_it_carries() -> None:
    schema = {"type": "object"}
    given = {"type": "json_schema", "json_schema": {"name": "bill", "schema": schema}}
    request, found = request_parts(
        {"messages": [{"role": "user", "content": "?"}], "response_format": given}
    )
    assert request["expects"] == "json_schema"
    assert request["schema_id"].startswith("bill-")
    assert found == schema
    other, _ = request_parts({"input": "?", "text": {"format": {"type": "json_object"}}})
    assert (other["prompt"], other["expects"]) == ("?", "json")
    assert request_parts({"prompt": "?"}) == ({"prompt": "?", "expects": "text"}, None)
    flat, found = request_parts({"text": {"format": {**given, **given["json_schema"]}}})  # type: ignore[dict-item]
    assert found == schema
    assert flat["schema_id"] == request["schema_id"]
