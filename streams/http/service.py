"""The API as a thread of a worker: an event loop that answers, beside a thread that reads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from aiohttp import web

from understudy.streams.http.app import RUNNER, make_app, make_context
from understudy.streams.http.context import Context
from understudy.streams.http.materialized_view import MaterializedView, Seen
from understudy.streams.http.view_feed import feed
from understudy.streams.settings import ApiSettings, Settings

log = structlog.get_logger(__name__)

AGAIN_S: Final = 15.0
LOOK_EVERY_S: Final = 0.1
CLOSE_S: Final = 2.0


def run_api(settings: Settings, stop: threading.Event) -> None:
    """Answer until told to stop.

    An address that is taken is tried again: the worker before may still have it. Whatever else
    fails is logged and begun anew; the worker does its work all the same.
    """
    was_told = False
    while not stop.is_set():
        try:
            asyncio.run(_serve(settings, stop))
        except OSError as error:
            if not was_told:
                log.warning("api.unavailable", host=settings.api.host, port=settings.api.port,
                            error=str(error))  # fmt: skip
            was_told = True
        except Exception as error:
            log.error("api.broken", error=repr(error), exc_info=error)
        stop.wait(AGAIN_S)


async def _serve(settings: Settings, stop: threading.Event) -> None:
    context = make_context(settings)
    try:
        async with _listening(settings.api, context), _fed(settings, context.view):
            while not stop.is_set():
                await asyncio.sleep(LOOK_EVERY_S)
    finally:
        context.close()


@asynccontextmanager
async def _listening(api: ApiSettings, context: Context) -> AsyncIterator[None]:
    """Raises `OSError` when the address cannot be had."""
    runner = web.AppRunner(make_app(context), shutdown_timeout=CLOSE_S, **RUNNER)
    await runner.setup()
    try:
        await web.TCPSite(runner, api.host, api.port).start()
        host, port = runner.addresses[0][:2]
        log.info("api.started", host=host, port=port, writers=len(context.tokens))
        yield
    finally:
        context.view.close()
        await runner.cleanup()


@asynccontextmanager
async def _fed(settings: Settings, view: MaterializedView) -> AsyncIterator[None]:
    """Feed the view from a thread meanwhile."""
    done = threading.Event()
    readers = OnLoop(asyncio.get_running_loop(), view)
    thread = threading.Thread(
        target=feed, args=(settings.kafka, readers, done), name="understudy-api-feed", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        await asyncio.to_thread(thread.join, CLOSE_S)


class OnLoop:
    """Hands over to a view on another thread's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, view: MaterializedView) -> None:
        self._loop, self._view = loop, view

    def begin(self) -> None:
        """Everything is to be read anew."""
        self._call(self._view.begin)

    def take(self, messages: list[Seen]) -> None:
        """Some was read."""
        self._call(lambda: self._view.take(messages))

    def complete(self) -> None:
        """Everything has been read once."""
        self._call(self._view.complete)

    def _call(self, what: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended; so does the feed
            self._loop.call_soon_threadsafe(what)
