"""Sending over HTTP: what a response means, and where credentials go."""

from __future__ import annotations

import pytest

from tests.streams.alerting.http_receiver import HttpReceiver, Reply
from understudy.streams.alerting.http_post import http_post, result_of
from understudy.streams.alerting.receiver import Notification


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "accepted"), (204, "accepted"), (301, "rejected"), (404, "rejected"), (408, "retry"),
     (429, "retry"), (500, "retry"), (503, "retry")],
)  # fmt: skip
def test_a_status_says_whether_to_retry(status: int, outcome: str) -> None:
    result = result_of(status, None)
    assert (result.outcome, result.reason) == (outcome, f"HTTP {status}")


def test_retry_after_may_be_nonsense() -> None:
    assert result_of(429, "soon").retry_after_s == 0.0
    assert result_of(503, "7").retry_after_s == 7.0
    assert result_of(503, "Mon, 01 Jan 2001 00:00:00 GMT").retry_after_s == 0.0
    assert result_of(204, None).outcome == "accepted"


@pytest.mark.embedded
def test_credentials_move_to_a_header() -> None:
    with HttpReceiver(Reply(status=202)) as server:
        url = f"{server.url.replace('http://', 'http://me:pass@')}/path"
        result = http_post(5.0)(Notification(url, {"X-A": "b"}, b"{}"))
        (got,) = server.wait_for(1)
    assert result.outcome == "accepted"
    assert got.headers["authorization"] == "Basic bWU6cGFzcw=="
    assert (got.path, got.headers["X-A"], got.body) == ("/path", "b", b"{}")


@pytest.mark.embedded
def test_a_connection_that_fails_is_retried_and_its_url_not_named() -> None:
    result = http_post(0.5)(Notification("http://127.0.0.1:9/secret", {}, b""))
    assert result.outcome == "retry"
    assert "secret" not in result.reason
