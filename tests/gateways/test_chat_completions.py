"""Chat completions, whole and streamed, as objects and as dictionaries."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from understudy.gateways.call_reader import (
    MAX_TEXT,
    NO_FACTS,
    AnswerFacts,
    AnswerTooLarge,
    ReadingFailed,
)
from understudy.gateways.chat_completions import ChatCompletions, PlainCalls
from understudy.schemas.events import Request, Response, Tool, ToolCall, Usage

USAGE = {
    "prompt_tokens": 31,
    "completion_tokens": 28,
    "prompt_tokens_details": {"cached_tokens": 16},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
READ_USAGE = Usage(31, 28, cached_input_tokens=16, reasoning_tokens=5)


def completion(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "c1", "model": "heron-4-2026-05-01", "choices": [choice], "usage": USAGE}


def as_object(value: Any) -> Any:
    return json.loads(json.dumps(value), object_hook=lambda fields: SimpleNamespace(**fields))


def tool_call(**changes: Any) -> dict[str, Any]:
    function = {"name": "find_rooms", "arguments": '{"city":"Lisbon"}', **changes}
    return {"id": "t1", "type": "function", "function": function}


@pytest.mark.parametrize("shape", [lambda value: value, as_object], ids=["dict", "object"])
def test_an_answer(shape: Any) -> None:
    read = ChatCompletions().read_answer(shape(completion(content="Hallo", reasoning_content="…")))
    assert read == AnswerFacts(
        Response(model="heron-4-2026-05-01", output="Hallo", finish_reason="stop", reasoning="…"),
        READ_USAGE,
    )


@pytest.mark.parametrize("shape", [lambda value: value, as_object], ids=["dict", "object"])
def test_tool_calls_and_refusals(shape: Any) -> None:
    answer = shape(completion(content=None, refusal="No.", tool_calls=[tool_call()]))
    response = ChatCompletions().read_answer(answer).response
    assert response is not None
    assert (response.output, response.refusal) == (None, "No.")
    (call,) = response.tool_calls or ()
    assert call.name == "find_rooms"
    assert json.loads(bytes(call.arguments)) == '{"city":"Lisbon"}'


@pytest.mark.parametrize(
    "answer",
    [{}, {"choices": []}, {"choices": [{"message": {"content": 5}}]}, {"choices": "no"}, None, 7],
)
def test_garbage_is_no_answer(answer: Any) -> None:
    with pytest.raises(ReadingFailed):
        ChatCompletions().read_answer(answer)


def test_an_answer_that_no_event_holds() -> None:
    with pytest.raises(AnswerTooLarge):
        ChatCompletions().read_answer(completion(content="x" * (MAX_TEXT + 1)))


def test_counts_that_are_none_are_unknown() -> None:
    answer = {**completion(content="a"), "usage": {"prompt_tokens": -1, "completion_tokens": "7"}}
    assert ChatCompletions().read_answer(answer).usage is None


def test_a_request() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    request = ChatCompletions().read_request(
        (),
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Was"}, {"type": "image"}]},
                {"role": "user", "content": "kostet das?"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "order"}},
        },
    )
    assert request.prompt == "Was\nkostet das?"
    assert (request.expects, request.schema_id) == ("json_schema", "order")
    assert request.tools == (Tool("f", msgspec.Raw(msgspec.json.encode(parameters))),)


def test_a_long_prompt_is_cut() -> None:
    request = PlainCalls().read_request(("x" * (2 * MAX_TEXT),), {})
    assert request.prompt == "x" * MAX_TEXT


def chunk(delta: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    finish = fields.pop("finish_reason", None)
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"model": "heron-4", "choices": choices, **fields}


@pytest.mark.parametrize("shape", [lambda value: value, as_object], ids=["dict", "object"])
def test_a_stream(shape: Any) -> None:
    reader = ChatCompletions().stream_reader()
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hal"}),
        chunk({"content": "lo"}, finish_reason="stop"),
        chunk(None, usage=USAGE),
    ]
    assert [reader.add(shape(one)) for one in chunks] == [False, True, True, False]
    response = Response(model="heron-4", output="Hallo", finish_reason="stop", stream=True)
    assert reader.facts() == AnswerFacts(response, READ_USAGE)


def test_streamed_tool_calls_are_put_together_by_their_index() -> None:
    reader = ChatCompletions().stream_reader()
    parts = [
        (0, {"name": "a", "arguments": ""}), (1, {"name": "b", "arguments": '{"x"'}),
        (0, {"arguments": "{}"}), (1, {"arguments": ":1}"}),
    ]  # fmt: skip
    for index, function in parts:
        assert reader.add(chunk({"tool_calls": [{"index": index, "function": function}]}))
    response = reader.facts().response
    assert response is not None
    assert response.tool_calls == (
        ToolCall("a", msgspec.Raw(b'"{}"')),
        ToolCall("b", msgspec.Raw(msgspec.json.encode('{"x":1}'))),
    )


def test_an_endless_stream_is_not_kept() -> None:
    reader = ChatCompletions().stream_reader()
    for _ in range(50):
        reader.add(chunk({"content": "x" * 10_000}))
    assert reader.characters == 500_000
    with pytest.raises(AnswerTooLarge):
        reader.facts()


def test_plain_text() -> None:
    reader = PlainCalls()
    assert reader.read_request((), {"prompt": "Wie geht's?"}) == Request(prompt="Wie geht's?")
    assert reader.read_answer("Gut.") == AnswerFacts(Response(output="Gut."))
    assert reader.read_answer(object()) == NO_FACTS
    stream = reader.stream_reader()
    assert [stream.add(one) for one in ("", "Gu", "t.", object())] == [False, True, True, True]
    assert stream.facts() == AnswerFacts(Response(output="Gut.", stream=True))
