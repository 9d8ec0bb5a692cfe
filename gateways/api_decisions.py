"""Decisions as a gateway reads them from the HTTP API of the deciding workers, by long poll.

For gateways that cannot reach Kafka. One request a rollout waits at one of the workers and is
answered when there is a newer decision.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import urllib3

from understudy.gateways.allocation import Allocation, decode_allocation, distrusted
from understudy.gateways.follower import Follower
from understudy.schemas.event_time import zoned

log = logging.getLogger(__name__)

_WAIT_S: Final = 20
"""Below what proxies take for a dead connection; a worker that vanished is noticed as soon."""
_ANSWER_S: Final = 5.0
"""Beyond the wait: a worker that works answers in milliseconds."""
_CONNECT_S: Final = 2.0
"""Then the next worker is asked."""
_PROBLEM: Final = "application/problem+json"
"""Of the API's own errors. A proxy in front of it may answer 404 as well, and knows nothing."""


class ApiUnavailable(RuntimeError):
    """A worker did not say what the newest decision is; ask another one."""


class ApiDecisions(Follower[Allocation]):
    """The newest decisions of the rollouts that are asked about, over HTTP."""

    _what = "decisions"

    def __init__(
        self, urls: str | Iterable[str], rollout_ids: Iterable[str] = (), *, token: str = ""
    ) -> None:
        """Ask the workers at `urls`, such as `http://understudy:8780`, one after the other.

        Rollouts that are not named are followed from the first question about them on.
        """
        self._urls = [url.rstrip("/") for url in ([urls] if isinstance(urls, str) else urls)]
        if not self._urls:
            raise ValueError("name the address of at least one worker")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._rollout_ids = tuple(rollout_ids)
        super().__init__()
        self._start_all()

    def _begin(self) -> None:
        super()._begin()
        self._http = urllib3.PoolManager(
            maxsize=max(1, len(self._rollout_ids)), retries=False, block=False
        )

    def _start_all(self) -> None:
        for rollout_id in self._rollout_ids:
            self._start(rollout_id)

    def _start(self, rollout_id: str) -> None:
        self._run(rollout_id, partial(self._follow, rollout_id))

    def allocation(self, rollout_id: str) -> Allocation | None:
        """Return what the newest decision allocates; None without one, or before an answer."""
        if rollout_id not in self._threads:
            self._start(rollout_id)
        return self._values.get(rollout_id)

    def _follow(self, rollout_id: str, stop: threading.Event) -> None:
        """Ask one worker for as long as it answers. Raises when it does not."""
        url = f"{random.choice(self._urls)}/api/v1/rollouts/{quote(rollout_id, safe='')}/decision"
        tag = ""
        while not stop.is_set():
            tag = self._ask(url, rollout_id, tag)
            if not tag:
                return

    def _ask(self, url: str, rollout_id: str, tag: str) -> str:
        """Wait for a decision other than the one with the tag; return its tag, "" for none."""
        headers = {**self._headers, "Prefer": f"wait={_WAIT_S}"}
        if tag:
            headers["If-None-Match"] = tag
        timeout = urllib3.Timeout(connect=_CONNECT_S, read=_WAIT_S + _ANSWER_S)
        response = self._http.request("GET", url, headers=headers, timeout=timeout)
        if response.status == HTTPStatus.NOT_MODIFIED:
            return tag
        if response.status == HTTPStatus.OK:
            self._take(rollout_id, response)
            return response.headers.get("ETag", "")
        is_own = response.headers.get("Content-Type", "").startswith(_PROBLEM)
        if response.status == HTTPStatus.NOT_FOUND and is_own:
            self._values.pop(rollout_id, None)
            return ""
        raise ApiUnavailable(f"{url} answered {response.status}")

    def _take(self, rollout_id: str, response: urllib3.BaseHTTPResponse) -> None:
        try:
            allocation = decode_allocation(response.data, _written_at(response))
        except ApiUnavailable:
            raise
        except Exception as error:  # whatever it holds, to ask again would bring the same
            log.error("The newest decision about %s cannot be read: %s", rollout_id, error)
            if previous := self._values.get(rollout_id):
                self._values[rollout_id] = distrusted(previous)
        else:
            self._values[rollout_id] = allocation


def _written_at(response: urllib3.BaseHTTPResponse) -> dt.datetime:
    """When the decision was written to Kafka. Raises `ApiUnavailable` where nothing tells."""
    try:
        written_at = parsedate_to_datetime(response.headers["Last-Modified"])
    except (KeyError, ValueError):
        raise ApiUnavailable("the answer does not say when the decision was written") from None
    # HTTP has no other zone than UTC, but a time may come without one.
    return zoned(written_at)
