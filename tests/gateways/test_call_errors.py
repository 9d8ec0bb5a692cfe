"""Exceptions of models' clients as errors of events."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from understudy.gateways.call_errors import error_of
from understudy.schemas.events import Error


class RateLimitError(Exception):
    status_code = 429


class APITimeoutError(Exception):
    pass


class HTTPStatusError(Exception):
    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


class OddError(Exception):
    status = "not a number"
    code = "rate_limited"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (RateLimitError(), Error(type="rate_limit", status=429)),
        (APITimeoutError(), Error(type="timeout")),
        (TimeoutError(), Error(type="timeout")),
        (HTTPStatusError(503), Error(type="httpstatus", status=503)),
        (OddError(), Error(type="odd")),
        (ConnectionResetError(), Error(type="connection_reset")),
        (type("X" * 300, (Exception,), {})(), Error(type="x" * 128)),
        (type("Error", (Exception,), {})(), Error(type="error")),
    ],
    ids=lambda one: type(one).__name__[:20],
)
def test_error_of(failure: Exception, error: Error) -> None:
    assert error_of(failure) == error
