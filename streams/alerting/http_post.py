"""Sends a notification over HTTP and says whether to retry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, make_headers, parse_url

from understudy.streams.alerting.receiver import Notification

_MAX_RESPONSE_BYTES: Final = 4096
"""Read so that the connection can be used again; what it says is of no interest."""
_RETRIED_STATUSES: Final = (408, 429)
"""Besides 5xx: Request Timeout and Too Many Requests."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of one attempt."""

    outcome: Literal["accepted", "retry", "rejected"]
    reason: str
    retry_after_s: float = 0.0


Post = Callable[[Notification], DeliveryResult]


def http_post(timeout_s: float) -> Post:
    """A function that sends notifications over a connection of its own."""
    pool = urllib3.PoolManager(maxsize=1, retries=False, timeout=Timeout(total=timeout_s))

    def post(notification: Notification) -> DeliveryResult:
        url, headers = _without_credentials(notification)
        try:
            response = pool.request("POST", url, body=notification.body, headers=headers,
                                    redirect=False, preload_content=False)  # fmt: skip
            response.read(_MAX_RESPONSE_BYTES)
            response.close()
        except (HTTPError, OSError) as error:
            # The text of the error may contain the URL, which may be a secret.
            return DeliveryResult("retry", type(error).__name__)
        return result_of(response.status, response.headers.get("Retry-After"))

    return post


def _without_credentials(notification: Notification) -> tuple[str, dict[str, str]]:
    """The URL without user and password, which are moved to a header."""
    parts = parse_url(notification.url)
    if parts.auth is None:
        return notification.url, dict(notification.headers)
    return parts._replace(auth=None).url, {
        **notification.headers,
        **make_headers(basic_auth=parts.auth),
    }


def result_of(status: int, retry_after: str | None) -> DeliveryResult:
    """What a response means for the notification."""
    reason = f"HTTP {status}"
    if 200 <= status < 300:
        return DeliveryResult("accepted", reason)
    if status in _RETRIED_STATUSES or status >= 500:
        return DeliveryResult("retry", reason, _seconds(retry_after))
    return DeliveryResult("rejected", reason)


def _seconds(retry_after: str | None) -> float:
    """Seconds from a Retry-After header, which has seconds or a date; 0 for anything else."""
    try:
        return Retry().parse_retry_after(retry_after) if retry_after else 0.0
    except (HTTPError, ValueError):
        return 0.0
