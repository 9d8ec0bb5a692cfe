"""Whose failure an error is, where the gateway does not say."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.error_sources import error_source, failed_itself
from understudy.schemas.events import Error, ErrorSource, Event, Fallback, decode_event

EVENT = decode_event(
    b'{"schema_version": 1, "rollout_id": "r", "pair_id": "p", "mode": "ab", "side": "stable", '
    b'"sides": ["stable"], "request_time": "2026-03-02T12:00:00Z"}'
)


def event(error: Error | None = None, fallback: Fallback | None = None) -> Event:
    fields = {name: getattr(EVENT, name) for name in EVENT.__struct_fields__}
    return Event(**{**fields, "error": error, "fallback": fallback})


@pytest.mark.parametrize(
    ("kind", "status", "source"),
    [
        ("client_disconnected", 499, "client"), ("x", 499, "client"),
        ("client_closed_request", None, "client"), ("CancelledError", None, "client"),
        ("context canceled", None, "client"), ("request_cancelled_by_user", None, "client"),
        ("APIUserAbortError", None, "client"), ("BrokenPipeError", None, "client"),
        ("insufficient_quota", 429, "gateway"), ("BudgetExceededError", 400, "gateway"),
        ("AuthenticationError", 401, "gateway"), ("x", 403, "gateway"),
        ("invalid_api_key", None, "gateway"), ("PermissionDeniedError", None, "gateway"),
        ("RateLimitError", 429, "provider"), ("rate_limit", 429, "provider"),
        ("timeout", 504, "provider"), ("server_error", 503, "provider"),
        ("overloaded_error", 529, "provider"), ("context_length_exceeded", 400, "provider"),
        ("content_policy_violation", 400, "provider"), ("BadRequestError", 400, "provider"),
        ("unreadable", None, "provider"), ("unfinished", None, "provider"), ("", None, "provider"),
        ("ReadTimeout", None, "provider"), ("APIConnectionError", None, "provider"),
    ],
)  # fmt: skip
def test_status_and_type_tell(kind: str, status: int | None, source: ErrorSource) -> None:
    assert error_source(Error(type=kind, status=status)) == source


def test_what_the_gateway_says_counts() -> None:
    assert error_source(Error(type="timeout", status=504, source="gateway")) == "gateway"
    assert error_source(Error(type="cancelled", status=499, source="provider")) == "provider"


def test_only_a_models_own_failure_is_its_failure() -> None:
    assert not failed_itself(event())
    assert failed_itself(event(Error(type="timeout")))
    assert not failed_itself(event(Error(type="x", status=499)))
    assert failed_itself(event(fallback=Fallback(final=False))), "the last attempt never came"
