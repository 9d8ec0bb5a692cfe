"""Backtests that people start from a page: one at a time, bounded in rows and in time.

They take CPU from the worker that decides, so they run in one thread, none waits, and starting one
takes a token. The thread has the priority of all others: one that is suspended while it holds the
interpreter's lock would suspend what decides, too. Results are kept in memory, each under an
address that nobody guesses.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

import structlog

from understudy.schemas.rollouts import Rollout
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.dashboard.backtest_page import StoredTrial
from understudy.streams.errors import CommandError
from understudy.streams.http.problems import Problem

log = structlog.get_logger(__name__)

Judge = Callable[[Rollout, int, int, threading.Event], StoredTrial]
"""Judges the windows of a policy's rollout that start in a span, epoch milliseconds, until the
event is set. Raises `CommandError`, `SinkBusy` and `SinkBroken`."""
TIMEOUT_S: Final = 120.0
"""A day of a busy rollout takes ten seconds of a core; whoever waits longer has a command."""
MAX_KEPT: Final = 10
"""Results, of some hundred kilobytes each."""
_ID_BYTES: Final = 12
"""Nobody guesses an address."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """One that was started."""

    id: str
    rollout_id: str
    text: str
    """The policy as it was written."""
    hours: int
    result: Future[StoredTrial]

    @property
    def problem(self) -> str:
        """Why there is no result, in words; empty while it runs and where there is one."""
        if not self.result.done():
            return ""
        if self.result.cancelled():
            return "The worker stopped before it was done."
        error = self.result.exception()
        match error:
            case None:
                return ""
            case SinkBusy() | SinkBroken():
                return f"ClickHouse: {error}"
            case CommandError():
                return error.message
        log.error("http.backtest_failed", rollout_id=self.rollout_id, exc_info=error)
        return "An unexpected error; the worker's log has the details."


class Backtests:
    """Those of this worker. Belongs to one event loop."""

    def __init__(self, judge: Judge | None = None) -> None:
        self._judge = judge
        self._threads = ThreadPoolExecutor(1, "understudy-http-backtest")
        self._kept: OrderedDict[str, Backtest] = OrderedDict()
        self._stop = threading.Event()

    @property
    def is_available(self) -> bool:
        """Whether this worker can judge windows."""
        return self._judge is not None

    def start(self, rollout: Rollout, text: str, hours: int, since_ms: int, until_ms: int) -> str:
        """Start one and return its id. Raises a 503 problem while another one runs."""
        if self._judge is None:
            raise Problem(HTTPStatus.NOT_FOUND, "this worker judges no stored windows")
        if any(not one.result.done() for one in self._kept.values()):
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "another backtest is running; try again when it is done", {"Retry-After": "10"},
            )  # fmt: skip
        stop = self._stop = threading.Event()
        work = partial(self._judge, rollout, since_ms, until_ms, stop)
        asyncio.get_running_loop().call_later(TIMEOUT_S, stop.set)  # means nothing once it is done
        result = self._threads.submit(work)
        name = secrets.token_urlsafe(_ID_BYTES)
        self._kept[name] = Backtest(name, rollout.rollout_id, text, hours, result)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return name

    def find(self, rollout_id: str, name: str) -> Backtest:
        """One by its id. Raises a 404 problem."""
        found = self._kept.get(name)
        if found is None or found.rollout_id != rollout_id:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "this backtest is no longer kept, or ran on another worker; start it again",
            )
        return found

    def close(self) -> None:
        """Stop what runs, and start nothing more."""
        self._stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
