"""Runs the HTTP application in a thread of the worker, on an event loop of its own.

So a probe is answered while the event loop of deciding hangs, while pairing works without a pause,
and while Kafka is unavailable. Handlers that would block run in threads.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import structlog
from aiohttp import web

from understudy.streams.http.app import RUNNER, make_api_context, make_app
from understudy.streams.http.backtests import Judge
from understudy.streams.http.connections import CONNECTIONS, Protocols
from understudy.streams.http.host_check import AllowedHosts
from understudy.streams.http.materialized_view import MaterializedView, ViewUpdate
from understudy.streams.http.view_feed import feed
from understudy.streams.logs import LogLimit
from understudy.streams.monitoring.health import HealthReport, HealthStatus
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents
from understudy.streams.settings import HttpSettings, KafkaSettings, Settings

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)

RETRY_S: Final = 15.0
"""Between attempts to listen: an address is taken for as long as the previous worker drains."""
STEADY_S: Final = 60.0
"""After so long a failure is another one, though it says the same: several attempts."""
ADDRESS_ERRORS: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL})
"""Of addresses that another process has, or that the machine will have soon."""
CLOSE_TIMEOUT_S: Final = 2.0
"""For responses under way; long polls are answered at once when the view closes."""


BACKLOG: Final = 128
"""Connections that wait to be accepted, as in aiohttp."""
RESERVED_FILES: Final = 400
"""What Kafka's clients, ClickHouse's and an embedded ClickHouse open, with room to spare."""
MIN_CONNECTIONS: Final = 50
"""For probes, Prometheus and a few gateways, however few files a process may open."""


def connection_limit(wanted: int) -> int:
    """As many connections as wanted, or as the process may open files for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or wanted <= files - RESERVED_FILES:
        return wanted
    limit = min(wanted, max(MIN_CONNECTIONS, files - RESERVED_FILES))
    if limit < wanted:
        log.warning("http.connections_limited", limit=limit, wanted=wanted, open_files=files)
    return limit


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Such as an accept without a file left, which repeats all the time."""
    _limited_log.error("http.loop_error", problem=context.get("message", ""),
                       exc_info=context.get("exception"))  # fmt: skip


@contextmanager
def http_server(
    settings: Settings,
    components: WorkerComponents,
    *,
    with_api: bool,
    judge: Judge | None = None,
    retry_s: float = RETRY_S,
) -> Iterator[None]:
    """Serve probes and metrics, and with `with_api` the API, inside the context.

    `judge` judges stored windows for backtests on the dashboard.

    While the address is taken, the worker works without a server and the server retries. Any other
    failure is logged, and the server starts again.
    """
    if not settings.http.enabled:
        yield
        return
    stop = threading.Event()

    def run() -> None:
        _Server(settings, components, judge, with_api=with_api).run(stop, retry_s)

    thread = threading.Thread(target=run, name="understudy-http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * CLOSE_TIMEOUT_S)


class _AddressUnavailable(Exception):
    """The address cannot be listened at now."""


class _Server:
    def __init__(
        self,
        settings: Settings,
        components: WorkerComponents,
        judge: Judge | None,
        *,
        with_api: bool,
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._components = components
        self._with_api = with_api
        self._max_connections = connection_limit(settings.http.max_connections)
        self._is_waiting = False
        """For its address, which is said once."""
        self._last_failure = ""

    def run(self, stop: threading.Event, retry_s: float) -> None:
        while not stop.is_set():
            began_s = time.monotonic()
            try:
                asyncio.run(self._serve(stop))
            except _AddressUnavailable as error:
                if not self._is_waiting:
                    http = self._settings.http
                    log.warning("http.address_unavailable", host=http.host, port=http.port,
                                error=str(error), retry_s=retry_s)  # fmt: skip
                self._is_waiting = True
            except Exception as error:
                self._note_failure(error, time.monotonic() - began_s)
            stop.wait(retry_s)

    def _note_failure(self, error: Exception, served_s: float) -> None:
        """Log a failure, but one that lasts only once."""
        if repr(error) != self._last_failure or served_s >= STEADY_S:
            log.error("http.failed", error=repr(error), exc_info=error)
        self._last_failure = repr(error)

    async def _serve(self, stop: threading.Event) -> None:
        limit = self._max_connections
        api = make_api_context(self._settings, limit, self._judge) if self._with_api else None
        writers = len(api.tokens) if api else 0
        app = make_app(self._components, api, limit, AllowedHosts(self._settings.http))
        asyncio.get_running_loop().set_exception_handler(_log_loop_error)
        async with _listening(self._settings.http, app, writers):
            self._is_waiting = False
            if api is None:
                await stopped(stop)
                return
            async with _fed(self._settings.kafka, api.view):
                with self._components.running("api", api_component(api.view)):
                    await stopped(stop)


async def stopped(stop: threading.Event) -> None:
    """Wait until it is time to stop, in a thread of its own: nothing wakes up only to look."""
    loop, is_over = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        stop.wait()
        with suppress(RuntimeError):  # the loop has ended for another reason
            loop.call_soon_threadsafe(is_over.set)

    threading.Thread(target=wait, name="understudy-http-stop", daemon=True).start()
    await is_over.wait()


def api_component(view: MaterializedView) -> WorkerComponent:
    """The API is ready while it knows the rollouts. It is never failing: it retries by itself."""

    def readiness() -> HealthReport:
        if view.is_complete:
            return HealthReport(HealthStatus.OK)
        reason = "the API does not know the rollouts: it is still reading, or Kafka is unavailable"
        return HealthReport(HealthStatus.FAILING, (reason,))

    return WorkerComponent(health=lambda: HealthReport(HealthStatus.OK), readiness=readiness)


@asynccontextmanager
async def _listening(http: HttpSettings, app: web.Application, writers: int) -> AsyncIterator[None]:
    """Accept requests inside the context. Raises `_AddressUnavailable`."""
    runner = web.AppRunner(app, shutdown_timeout=CLOSE_TIMEOUT_S, **RUNNER)
    await runner.setup()
    try:
        connections = app[CONNECTIONS]
        server = await _listen(http, connections.protocols(_protocols(runner)))
        host, port = server.sockets[0].getsockname()[:2]
        log.info("http.started", host=host, port=port, writers=writers)
        try:
            async with connections.watched():
                yield
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _listen(http: HttpSettings, protocols: Protocols) -> asyncio.Server:
    try:
        loop = asyncio.get_running_loop()
        return await loop.create_server(protocols, http.host, http.port, backlog=BACKLOG)
    except OSError as error:
        if error.errno not in ADDRESS_ERRORS:
            raise
        raise _AddressUnavailable(str(error)) from None


def _protocols(runner: web.AppRunner) -> Protocols:
    assert runner.server is not None, "set up"
    return runner.server


@asynccontextmanager
async def _fed(kafka: KafkaSettings, view: MaterializedView) -> AsyncIterator[None]:
    """Feed the view from a thread inside the context; in the end answer all long polls."""
    done = threading.Event()
    updates = ViewOnLoop(asyncio.get_running_loop(), view)
    thread = threading.Thread(
        target=feed, args=(kafka, updates, done), name="understudy-http-feed", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        view.close()
        done.set()
        await asyncio.to_thread(thread.join, CLOSE_TIMEOUT_S)


class ViewOnLoop:
    """Passes the updates of another thread on to a view on its event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, view: MaterializedView) -> None:
        self._loop, self._view = loop, view

    def reset(self) -> None:
        """Everything is read again."""
        self._call(self._view.reset)

    def apply(self, updates: list[ViewUpdate]) -> None:
        """Some messages were read."""
        self._call(lambda: self._view.apply(updates))

    def mark_complete(self) -> None:
        """Everything was read once."""
        self._call(self._view.mark_complete)

    def _call(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended; so will the feed
            self._loop.call_soon_threadsafe(work)
