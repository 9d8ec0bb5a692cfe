"""LiteLLM's payloads, quirks included, as releases 1.83 to 1.110 write them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from understudy.schemas.adapters.litellm_payload import (
    answer_of_payload,
    fold_attempts,
    is_mirrored,
    is_payload,
)
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, event_of
from understudy.schemas.events import Error, ToolCall, decode_event, encode_event

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
START_S = START.timestamp()
TOOL = {"name": "find", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}


def payload(**changes: Any) -> dict[str, Any]:
    """A call that was answered in 800 ms; fields that no reader needs are left out."""
    message = {"content": "Hello", "role": "assistant", "tool_calls": None, "function_call": None}
    details = {
        "completion_tokens_details": {"reasoning_tokens": 12},
        "prompt_tokens_details": {"cached_tokens": 20},
    }
    usage = {"completion_tokens": 30, "prompt_tokens": 50, "total_tokens": 80, **details}
    return {
        "id": "chatcmpl-1",
        "litellm_call_id": "05c7d9ed",
        "trace_id": "5067a9eb",
        "session_id": "",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "startTime": START_S,
        "endTime": START_S + 0.8,
        "completionStartTime": START_S + 0.8,
        "response_time": 0.8,
        "model": "openai/big",
        "model_group": "prod",
        "metadata": {"requester_metadata": None, "usage_object": usage},
        "response_cost": 0.0004,
        "prompt_tokens": 50,
        "completion_tokens": 30,
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}],
        "response": {
            "id": "chatcmpl-1",
            "model": "big-2026",
            "object": "chat.completion",
            "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
            "usage": usage,
        },
        "model_parameters": {"stream": False},
        "error_information": {"error_code": "", "error_class": "", "error_message": ""},
        **changes,
    }


def failed(error_code: str | None, error_class: str | None, **more: Any) -> dict[str, Any]:
    information = {"error_code": error_code, "error_class": error_class, **more}
    return payload(
        status="failure",
        response={},
        error_information=information,
        prompt_tokens=0,
        completion_tokens=0,
        response_cost=0.0,
    )


def answered(output: str, **changes: Any) -> dict[str, Any]:
    return payload(response={"choices": [{"message": {"content": output}}]}, **changes)


def test_a_payload_becomes_the_parts_of_an_event() -> None:
    answer = answer_of_payload(payload())

    assert answer.id == "5067a9eb"
    assert answer.request_time == START
    assert answer.served is True
    assert answer.request is not None
    assert answer.request.prompt == "hi"
    assert answer.response is not None
    assert (answer.response.model, answer.response.output) == ("big-2026", "Hello")
    assert answer.response.finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (50, 30)
    assert (answer.usage.cached_input_tokens, answer.usage.reasoning_tokens) == (20, 12)
    assert answer.usage.cost_usd == 0.0004
    assert answer.attributes == {"litellm.model": "openai/big", "litellm.model_group": "prod"}
    assert answer.error is None
    assert answer.unreadable_fields == ()


def test_its_event_is_valid() -> None:
    event = event_of(
        answer_of_payload(payload(), id="pair"),
        rollout_id="r", mode="shadow", side="stable", sides=("stable", "candidate"),
        request_time=START,
    )  # fmt: skip

    assert decode_event(encode_event(event)).pair_id == "pair"


def test_what_is_null_for_false_is_false() -> None:
    answer = answer_of_payload(payload(cache_hit=None, stream=None))

    assert answer.response is not None
    assert answer.response.cache_hit is False
    assert answer.response.stream is False


def test_the_time_of_a_stream_is_that_of_its_end_not_of_its_first_token() -> None:
    streamed = payload(
        stream=True, completionStartTime=START_S + 0.25, endTime=START_S + 2.0, response_time=0.25
    )

    timing = answer_of_payload(streamed).timing

    assert timing is not None
    assert timing.duration_ms == pytest.approx(2000.0, abs=0.01)
    assert timing.time_to_first_token_ms == pytest.approx(250.0, abs=0.01)


def test_without_streaming_there_is_no_first_token() -> None:
    timing = answer_of_payload(payload()).timing

    assert timing is not None
    assert timing.time_to_first_token_ms is None


def test_an_answer_from_the_cache_is_one() -> None:
    response = answer_of_payload(payload(cache_hit=True)).response

    assert response is not None
    assert response.cache_hit is True


@pytest.mark.parametrize(
    ("code", "name", "status"),
    [
        ("429", "RateLimitError", 429),
        ("server_error", "InternalServerError", 500),
        ("", "APIConnectionError", 500),
        (None, "ServiceUnavailableError", 503),
        ("408", "Timeout", 408),
        ("", "SomethingNew", None),
    ],
)
def test_the_status_is_the_code_as_text_or_that_of_the_class(
    code: str | None, name: str, status: int | None
) -> None:
    error = answer_of_payload(failed(code, name)).error

    assert error == Error(type=name, status=status)


def test_a_failure_without_a_class_is_named_by_its_code() -> None:
    assert answer_of_payload(failed("429", None)).error == Error(type="429", status=429)
    assert answer_of_payload(failed(None, None)).error == Error(type="unknown")


@pytest.mark.parametrize(
    "more",
    [{"error_rate_limit_category": "litellm_rate_limit"}, {"error_budget_entity_type": "team"}],
)
def test_limits_of_the_gateway_are_no_failure_of_the_model(more: dict[str, str]) -> None:
    error = answer_of_payload(failed("429", "RateLimitError", **more)).error

    assert error is not None
    assert error.source == "gateway"


def test_a_vendors_rate_limit_is_the_models() -> None:
    limited = failed("429", "RateLimitError", error_rate_limit_category="vendor_rate_limit")

    error = answer_of_payload(limited).error

    assert error is not None
    assert error.source is None


def test_a_caller_that_left_a_stream_hung_up_though_the_payload_says_success_and_stop() -> None:
    left = answered(
        "Hel",
        stream=True,
        error_information={"error_code": "499", "error_class": "ClientDisconnected"},
    )

    assert answer_of_payload(left).error == Error(
        type="ClientDisconnected", status=499, source="client"
    )


def test_texts_that_litellm_withholds_are_not_measured() -> None:
    withheld = "redacted-by-litellm"

    answer = answer_of_payload(answered(withheld, messages=[{"role": "user", "content": withheld}]))

    assert answer.response is not None
    assert answer.response.output_form == "hashed"
    assert answer.request is not None
    assert answer.request.prompt_form == "hashed"
    assert answer_of_payload(payload()).response.output_form is None  # type: ignore[union-attr]


def test_zero_tokens_of_a_failure_are_unknown_and_those_of_a_broken_stream_are_not() -> None:
    assert answer_of_payload(failed("500", "InternalServerError")).usage is None

    broken = failed("", "APIConnectionError") | {"prompt_tokens": 13, "completion_tokens": 1}

    usage = answer_of_payload(broken).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (13, 1)


def test_a_negative_price_is_unknown_and_one_of_zero_is_kept() -> None:
    """Events take a price of 0 for tokens as unknown and count it."""
    negative = answer_of_payload(payload(response_cost=-0.5))
    free = answer_of_payload(payload(response_cost=0.0))

    assert negative.usage is not None
    assert negative.usage.cost_usd is None
    assert "usage.cost_usd" in negative.unreadable_fields
    assert free.usage is not None
    assert free.usage.cost_usd == 0.0


def test_tool_calls_and_offered_tools_are_read() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a":1}'}}
    message = {"content": None, "tool_calls": [call]}
    used = payload(
        response={"choices": [{"finish_reason": "tool_calls", "message": message}]},
        model_parameters={"tools": [{"type": "function", "function": TOOL}]},
    )

    answer = answer_of_payload(used)

    assert answer.response is not None
    assert answer.response.tool_calls == (
        ToolCall(name="find", arguments=msgspec.Raw(b'"{\\"a\\":1}"')),
    )
    assert answer.request is not None
    assert answer.request.tools is not None
    assert [getattr(tool, "name", tool) for tool in answer.request.tools] == ["find"]


def test_what_the_caller_parses_is_read_off_the_parameters() -> None:
    schema = {"name": "invoice", "schema": {"type": "object"}}
    asked = {"response_format": {"type": "json_schema", "json_schema": schema}}

    request = answer_of_payload(payload(model_parameters=asked)).request

    assert request is not None
    assert request.expects == "json_schema"
    assert request.schema_id is not None
    assert request.schema_id.startswith("invoice")


def test_a_session_is_a_conversation_and_an_empty_one_is_none() -> None:
    assert answer_of_payload(payload(session_id="s-1")).conversation_id == "s-1"
    assert answer_of_payload(payload(session_id="")).conversation_id is None


def test_a_mirrored_call_was_not_served() -> None:
    mirrored = payload(metadata={"is_silent_experiment": True})

    assert is_mirrored(mirrored)
    assert answer_of_payload(mirrored).served is False
    assert not is_mirrored(payload())


def test_payloads_are_known_by_their_fields() -> None:
    assert is_payload(payload())
    assert not is_payload({"custom_id": "1", "response": {}})


def test_without_any_id_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match="has no id"):
        answer_of_payload(payload(trace_id=None))


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": None},
        {"response": None},
        {"response": "text"},
        {"response": []},
        {"model_parameters": None},
        {"messages": None},
        {"messages": "hi"},
        {"startTime": None, "endTime": "later"},
        {"startTime": 1e300},
        {"error_information": None, "status": "failure"},
    ],
)
def test_odd_payloads_are_read_as_far_as_they_can_be(odd: dict[str, Any]) -> None:
    assert answer_of_payload(payload(**odd)).id == "5067a9eb"


# -- Attempts --------------------------------------------------------------------------------


def attempts(*payloads: dict[str, Any]) -> RecordedAnswer:
    return fold_attempts([answer_of_payload(one) for one in payloads])


def later(one: dict[str, Any], seconds: float) -> dict[str, Any]:
    times = ("startTime", "endTime", "completionStartTime")
    return {**one, **{name: one[name] + seconds for name in times}}


def test_a_retry_that_answers_is_the_answer_and_its_time_includes_the_failure() -> None:
    folded = attempts(failed("500", "InternalServerError"), later(payload(), 3.0))

    assert folded.error is None
    assert folded.request_time == START
    assert folded.timing is not None
    assert folded.timing.duration_ms == pytest.approx(3800.0, abs=0.01)
    assert folded.fallback is not None
    assert folded.fallback.attempts == 2
    assert folded.fallback.used is False


def test_another_model_group_is_a_fallback_with_its_reason() -> None:
    folded = attempts(failed("500", "InternalServerError"), later(payload(model_group="alt"), 1.0))

    assert folded.fallback is not None
    assert folded.fallback.used is True
    assert folded.fallback.model == "alt"
    assert folded.fallback.reason == "InternalServerError"


def test_a_retried_stream_counts_its_first_token_from_the_first_attempt() -> None:
    streamed = payload(stream=True, completionStartTime=START_S + 0.1)

    folded = attempts(failed("500", "InternalServerError"), later(streamed, 2.0))

    assert folded.timing is not None
    assert folded.timing.time_to_first_token_ms == pytest.approx(2100.0, abs=0.01)


def test_attempts_that_all_failed_are_the_last_failure() -> None:
    folded = attempts(
        failed("429", "RateLimitError"), later(failed("503", "ServiceUnavailableError"), 1.0)
    )

    assert folded.error is not None
    assert folded.error.status == 503
    assert folded.fallback is not None
    assert folded.fallback.attempts == 2


def test_a_single_attempt_stays_as_it_is() -> None:
    answer = answer_of_payload(payload())

    assert fold_attempts([answer]) == answer
