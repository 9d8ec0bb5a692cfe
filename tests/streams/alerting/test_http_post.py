"""Sending over HTTP: what a response means, and where credentials go."""

from __future__ import annotations

import base64
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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


@pytest.mark.parametrize(
    ("retry_after", "least_s"),
    [
        ("9" * 5_000, 1e8),
        ("Thu, 01 Jan 999999 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 9999 00:00:00 -2359", 1e8),
        ("Mon, 01 Jan 2030 00:00:00 +99999999999999", 0.0),
        ("Fri, 01 Jan 2100 00:00:00", 1e8),
        ("-1", 0.0),
        ("１", 0.0),
        ("\x00", 0.0),
    ],
)
def test_retry_after_may_be_out_of_range(retry_after: str, least_s: float) -> None:
    result = result_of(503, retry_after)
    assert result.outcome == "retry"
    assert least_s <= result.retry_after_s < 1e12


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
@pytest.mark.parametrize(
    ("written", "meant"),
    [("user:p%40ss", "user:p@ss"), ("a%3Ab:%E5%AF%86", "a:b:密"), ("user", "user:")],
)
def test_credentials_are_decoded(written: str, meant: str) -> None:
    with HttpReceiver() as server:
        http_post(5.0)(Notification(server.url.replace("//", f"//{written}@"), {}, b"{}"))
        (got,) = server.wait_for(1)
    scheme, _, encoded = got.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", meant)


@contextmanager
def dripping(answer: bytes) -> Iterator[str]:
    """A receiver that answers with a byte now and then, for ever."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for byte in itertools.chain(answer, itertools.repeat(ord("a"))):
                connection.sendall(bytes([byte]))
                if over.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        accepting = threading.Thread(target=lambda: drip(listening.accept()[0]), daemon=True)
        accepting.start()
        yield f"http://{host}:{port}/"
        over.set()
        accepting.join()


@pytest.mark.embedded
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 100 Continue\r\n\r\n" * 50]
)
def test_a_receiver_that_drips_takes_no_longer_than_others(answer: bytes) -> None:
    with dripping(answer) as url:
        started_s = time.monotonic()
        result = http_post(0.5)(Notification(url, {}, b"{}"))
        took_s = time.monotonic() - started_s
    assert result.outcome == "retry"
    assert 0.4 < took_s < 5.0


@pytest.mark.embedded
def test_what_follows_the_headers_does_not_matter() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n") as url:
        assert http_post(30.0)(Notification(url, {}, b"{}")).outcome == "accepted"


@pytest.mark.embedded
def test_a_connection_that_fails_is_retried_and_its_url_not_named() -> None:
    result = http_post(0.5)(Notification("http://127.0.0.1:9/secret", {}, b""))
    assert result.outcome == "retry"
    assert "secret" not in result.reason
