"""LiteLLM's StandardLoggingPayload: one call of one model, as callbacks and log exports have it.

What its fields mean was read off LiteLLM 1.83 to 1.110 by running it:

- `trace_id` is shared by all attempts of a call and by its mirrored calls, and is the session
  where the caller named one; `id` is whatever the provider sent.
- `response_time` is the time to the first token when the answer was streamed, so durations are
  taken from `startTime` and `endTime`.
- `cache_hit` and `stream` are null for false; `error_code` is text, empty, or the provider's own
  word, so the status also comes from `error_class`.
- `response_cost` is 0 for models without a price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from understudy.schemas.adapters.api_bodies import answer_parts, request_parts, usage_of
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, answer_of
from understudy.schemas.adapters.recording import without_unknown
from understudy.schemas.events import Fallback, Timing

Payload = Mapping[str, Any]
Parts = dict[str, Any]

_MS: Final = 1000.0
_STATUS_OF_CLASS: Final = {
    "BadRequestError": 400,
    "ContentPolicyViolationError": 400,
    "ContextWindowExceededError": 400,
    "InvalidRequestError": 400,
    "UnsupportedParamsError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "Timeout": 408,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "APIError": 500,
    "APIConnectionError": 500,
    "InternalServerError": 500,
    "BadGatewayError": 502,
    "ServiceUnavailableError": 503,
    "MidStreamFallbackError": 503,
}
"""The HTTP status of LiteLLM's exceptions, from `litellm/exceptions.py`."""
_HUNG_UP: Final = "ClientDisconnected"
"""Class of the error in the payload of a stream that the proxy's caller left."""
_WITHHELD: Final = "redacted-by-litellm"
"""What stands for texts where LiteLLM's `turn_off_message_logging` is set."""
_OWN_LIMITS: Final = frozenset({"litellm_rate_limit", "litellm_batch_rate_limit"})
"""`error_rate_limit_category` of limits that LiteLLM itself sets."""


def is_payload(record: Mapping[str, Any]) -> bool:
    """Whether a record is a StandardLoggingPayload."""
    return {"startTime", "call_type", "model_group"} <= record.keys()


def is_mirrored(payload: Payload) -> bool:
    """Whether LiteLLM made the call for `silent_model`, beside the one that was served."""
    return _mapping(payload.get("metadata")).get("is_silent_experiment") is True


def messages_of(payload: Payload) -> Any:
    """What was asked; None where LiteLLM was told to withhold it."""
    messages = payload.get("messages")
    return None if _WITHHELD in str(messages) else messages


def answer_of_payload(payload: Payload, *, id: str | None = None) -> RecordedAnswer:
    """The answer or failure of one call. Raises ValueError without an `id` and a `trace_id`."""
    metadata = _mapping(payload.get("metadata"))
    parts: Parts = {
        "id": id or payload.get("trace_id"),
        "request_time": _time(payload.get("startTime")),
        "conversation_id": _conversation(payload, metadata),
        "served": not is_mirrored(payload),
        "request": _request(payload),
        "timing": _timing(payload),
        **_outcome(payload),
    }
    return answer_of(without_unknown(parts))


def fold_attempts(attempts: Sequence[RecordedAnswer]) -> RecordedAnswer:
    """One side's retries and fallbacks, in the order of their start, as the last one.

    Its times count from the first attempt's start, and another model than the first one's makes
    it a fallback. Raises IndexError for no attempts.
    """
    first, last = attempts[0], attempts[-1]
    if len(attempts) == 1:
        return last
    return msgspec.structs.replace(
        last,
        request_time=first.request_time,
        request=last.request or first.request,
        timing=_since(first, last),
        fallback=_fallback(attempts),
    )


def _since(first: RecordedAnswer, last: RecordedAnswer) -> Timing | None:
    """The last attempt's times, counted from the first one's start."""
    if last.timing is None or first.request_time is None or last.request_time is None:
        return None
    earlier_ms = (last.request_time - first.request_time).total_seconds() * _MS
    took, token = last.timing.duration_ms, last.timing.time_to_first_token_ms
    return Timing(
        duration_ms=None if took is None else max(0.0, took + earlier_ms),
        time_to_first_token_ms=None if token is None else max(0.0, token + earlier_ms),
    )


def _fallback(attempts: Sequence[RecordedAnswer]) -> Fallback:
    first, last = attempts[0], attempts[-1]
    groups = [(one.attributes or {}).get("litellm.model_group") for one in (first, last)]
    is_other = groups[0] != groups[1]
    return Fallback(
        used=is_other,
        model=groups[1] if is_other else None,
        reason=first.error.type if first.error is not None else None,
        attempts=len(attempts),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _time(seconds: Any) -> dt.datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _conversation(payload: Payload, metadata: Mapping[str, Any]) -> str | None:
    """The session: a field of its own, else what the caller wrote into the request's metadata."""
    requester = _mapping(metadata.get("requester_metadata"))
    named = (payload.get("session_id"), requester.get("session_id"))
    return next((one for one in named if isinstance(one, str) and one), None)


def _request(payload: Payload) -> Parts:
    parameters = _mapping(payload.get("model_parameters"))
    messages = payload.get("messages")
    asked = {**parameters, "messages": messages} if messages else dict(parameters)
    request = request_parts(asked)[0]
    listed = messages if isinstance(messages, list) else []
    is_withheld = any(_mapping(one).get("content") == _WITHHELD for one in listed)
    return {**request, "prompt_form": "hashed"} if is_withheld else request


def _timing(payload: Payload) -> Parts:
    start = payload.get("startTime")
    first = payload.get("completionStartTime") if _is_streamed(payload) else None
    return {
        "duration_ms": _elapsed_ms(start, payload.get("endTime")),
        "time_to_first_token_ms": _elapsed_ms(start, first),
    }


def _elapsed_ms(start: Any, end: Any) -> float | None:
    """Milliseconds between two times in seconds; None where one is missing."""
    numbers = (int, float)
    if not isinstance(start, numbers) or not isinstance(end, numbers):
        return None
    return (end - start) * _MS


def _is_streamed(payload: Payload) -> bool:
    """Whether the answer was streamed; of failures only the parameters tell."""
    parameters = _mapping(payload.get("model_parameters"))
    return payload.get("stream") is True or parameters.get("stream") is True


def _outcome(payload: Payload) -> Parts:
    """What came of the call: response or error, usage, and what tells deployments apart."""
    group, model = payload.get("model_group"), payload.get("model")
    named = {"attributes": {"litellm.model": model, "litellm.model_group": group}}
    if payload.get("status") == "failure" or _has_hung_up(payload):
        return {**named, "error": _error(payload), "usage": _usage_of_failure(payload)}
    body = payload.get("response")
    answered = answer_parts(_mapping(body)) or {"response": {"output": body or None}}
    response = {
        **_mapping(answered.get("response")),
        "stream": _is_streamed(payload),
        "cache_hit": payload.get("cache_hit") is True,
    }
    response["model"] = response.get("model") or model
    if response.get("output") == _WITHHELD:
        response["output_form"] = "hashed"
    return {**named, "response": response, "usage": _usage(payload)}


def _usage(payload: Payload) -> Parts:
    """Tokens as the provider counted them, else as LiteLLM counted them; and the price."""
    given = _mapping(_mapping(payload.get("response")).get("usage"))
    counted = {name: payload.get(name) for name in ("prompt_tokens", "completion_tokens")}
    usage = usage_of(given or counted) or {}
    return {**usage, "cost_usd": payload.get("response_cost")}


def _has_hung_up(payload: Payload) -> bool:
    """Whether the caller left a stream: a success, by its status, that ended before its end."""
    return _mapping(payload.get("error_information")).get("error_class") == _HUNG_UP


def _usage_of_failure(payload: Payload) -> Parts | None:
    """What a stream had used when it broke; LiteLLM writes zeros where nothing is known."""
    return _usage(payload) if payload.get("completion_tokens") else None


def _error(payload: Payload) -> Parts:
    given = _mapping(payload.get("error_information"))
    kind = given.get("error_class") or given.get("error_code") or "unknown"
    code = str(given.get("error_code") or "")
    status = int(code) if code.isascii() and code.isdigit() else _STATUS_OF_CLASS.get(str(kind))
    is_own = given.get("error_rate_limit_category") in _OWN_LIMITS or given.get(
        "error_budget_entity_type"
    )
    source = "client" if kind == _HUNG_UP else "gateway" if is_own else None
    return {"type": str(kind), "status": status, "source": source}
