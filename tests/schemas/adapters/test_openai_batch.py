"""Batch files, made after the documentation of OpenAI's and Anthropic's batch APIs."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.schemas.adapters.test_api_bodies import CHAT, MESSAGE, RESPONSE
from understudy.schemas.adapters.openai_batch import (
    answer_of_batch,
    is_batch_input,
    is_batch_output,
    request_of_batch,
)
from understudy.schemas.adapters.recording import ReadingOptions
from understudy.schemas.events import Error, Request

PLAIN = ReadingOptions()


def line(**parts: object) -> dict[str, object]:
    return {"id": "batch_req_1", "custom_id": "r-1", "response": None, "error": None, **parts}


def test_an_answer_stands_under_its_custom_id() -> None:
    body = {**CHAT, "created": 1_711_652_795}
    read = answer_of_batch(line(response={"status_code": 200, "body": body}), PLAIN)
    assert read.id == "r-1"
    assert read.request_time == dt.datetime(2024, 3, 28, 19, 6, 35, tzinfo=dt.UTC)
    assert read.error is None
    body = {**RESPONSE, "created_at": 1_741_476_542}
    read = answer_of_batch(line(response={"status_code": 200, "body": body}), PLAIN)
    assert read.response is not None
    assert read.response.output == "Once"


def test_failures_of_the_error_file() -> None:
    expired = {"code": "batch_expired", "message": "…"}
    assert answer_of_batch(line(error=expired), PLAIN).error == Error("batch_expired")
    refused = {"error": {"message": "…", "type": "invalid_request_error", "code": None}}
    answered = answer_of_batch(line(response={"status_code": 400, "body": refused}), PLAIN)
    assert answered.error == Error("invalid_request_error", 400)
    limited = answer_of_batch(line(response={"status_code": 429, "body": {}}), PLAIN)
    assert limited.error == Error("429", 429)
    assert answer_of_batch(line(), PLAIN).error == Error("no_response")


def test_results_of_anthropic() -> None:
    def read(**result: object) -> Error | None:
        return answer_of_batch({"custom_id": "a", "result": result}, PLAIN).error

    assert read(type="succeeded", message=MESSAGE) is None
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "…"}}
    assert read(type="errored", error=error) == Error("overloaded_error")
    assert read(type="expired") == Error("expired")


def test_what_is_no_answer_says_what_it_is() -> None:
    embedding = {"status_code": 200, "body": {"object": "list", "data": []}}
    with pytest.raises(ValueError, match="no answer of a model, but list"):
        answer_of_batch(line(response=embedding), PLAIN)
    with pytest.raises(ValueError, match="has no id"):
        answer_of_batch({**line(), "custom_id": ""}, PLAIN)


def test_an_input_line_tells_what_was_asked() -> None:
    asked = {
        "custom_id": "r-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "wren-1",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Wie?"}],
            "response_format": {"type": "json_object"},
            "tools": [{"type": "function", "function": {"name": "find", "parameters": {}}}],
        },
    }
    assert is_batch_input(asked)
    assert not is_batch_output(asked)
    named, request, schema = request_of_batch(asked)
    assert (named, schema) == ("r-1", None)
    assert (request.prompt, request.expects) == ("Wie?", "json")
    assert len(request.tools or ()) == 1
    named, request, _ = request_of_batch({"custom_id": "a", "params": {"messages": []}})
    assert request == Request(prompt="")
    with pytest.raises(ValueError, match="has no body"):
        request_of_batch({"custom_id": "a", "body": None})


def test_another_field_may_name_the_request() -> None:
    named = ReadingOptions({"id": "metadata.case"})
    assert answer_of_batch(line(metadata={"case": "c-9"}), named).id == "c-9"
