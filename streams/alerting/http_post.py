"""Sends a notification over HTTP and says whether to retry it."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from understudy.streams.alerting.receiver import Notification

_RETRIED_STATUSES: Final = (408, 429)
"""Besides 5xx: Request Timeout and Too Many Requests."""
_MAX_DIGITS: Final = 9
"""Of the seconds in a Retry-After header: 30 years."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of one attempt."""

    outcome: Literal["accepted", "retry", "rejected"]
    reason: str
    retry_after_s: float = 0.0


Post = Callable[[Notification], DeliveryResult]


def http_post(timeout_s: float) -> Post:
    """A function that sends a notification within this time, over a connection of its own."""

    def post(notification: Notification) -> DeliveryResult:
        try:
            url = parse_url(notification.url)
            connection = _connection(url, timeout_s)
            headers = {**notification.headers, **_authorization(url)}
            with _cut_off(connection, timeout_s):
                connection.request("POST", url.request_uri, notification.body, headers)
                response = connection.getresponse()
            # What the body says is of no interest; it may never end.
            return result_of(response.status, response.headers.get("Retry-After"))
        except (http.client.HTTPException, OSError, ValueError, LocationParseError) as error:
            # The text of the error may contain the URL, which may be a secret.
            return DeliveryResult("retry", type(error).__name__)

    return post


def _connection(url: Url, timeout_s: float) -> http.client.HTTPConnection:
    host = (url.host or "").strip("[]")
    if url.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, url.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, url.port, timeout=timeout_s)


@contextmanager
def _cut_off(connection: http.client.HTTPConnection, timeout_s: float) -> Iterator[None]:
    """Close the connection in the end, and when the time is over.

    A socket's own timeout is for each read, so a byte now and then would keep it open for ever.
    """

    def cut() -> None:
        sock = connection.sock
        if sock is not None:
            with suppress(OSError):
                # of the plain socket: TLS would wait for the other side
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _authorization(url: Url) -> dict[str, str]:
    """The user and password of the URL, decoded, as a header (RFC 7617)."""
    if url.auth is None:
        return {}
    user, _, password = url.auth.partition(":")
    decoded = f"{unquote(user)}:{unquote(password)}".encode()
    return {"authorization": f"Basic {base64.b64encode(decoded).decode()}"}


def result_of(status: int, retry_after: str | None) -> DeliveryResult:
    """What a response means for the notification."""
    reason = f"HTTP {status}"
    if 200 <= status < 300:
        return DeliveryResult("accepted", reason)
    if status in _RETRIED_STATUSES or status >= 500:
        return DeliveryResult("retry", reason, _seconds((retry_after or "").strip()))
    return DeliveryResult("rejected", reason)


def _seconds(retry_after: str) -> float:
    """Seconds from a Retry-After header, which has seconds or a date; 0 for anything else."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:_MAX_DIGITS])
    try:
        moment = parsedate_to_datetime(retry_after)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return max(0.0, (aware - dt.datetime.now(dt.UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
