"""Runs the Faust app in a thread of a process that has other things to do, too."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Final, cast

import structlog

from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.faust_app import DecidingApp, make_app
from understudy.streams.deciding.processor import GiveUp
from understudy.streams.deciding.stall_watchdog import StallWatchdog
from understudy.streams.settings import Settings
from understudy.streams.stop_deadline import end_process

log = structlog.get_logger(__name__)

WATCH_INTERVAL_S: Final = 2.0
"""Each look asks the broker once, and again where windows wait."""
LAGS_TIMEOUT_S: Final = 5.0
"""Then they are unknown, and probes are answered all the same."""
SAVE_TIMEOUT_S: Final = 3.0
"""For what is unsaved at a stop: plenty for a broker that answers, and a stop is to be quick."""
STOP_TIMEOUT_S: Final = 20.0
"""A stop takes a few seconds at most; beyond this it hangs, and the process ends with an error.
Less than the whole worker has, so that the log names deciding."""

Lags = Mapping[int, int] | None
Watch = Callable[[DecidingProgress], AbstractContextManager[object]]
"""Exposes the progress while its context is open."""


def run_deciding(
    settings: Settings,
    stop: threading.Event,
    *,
    give_up: GiveUp = end_process,
    watch: Watch = nullcontext,
) -> None:
    """Decide until `stop` is set, in an event loop of this thread's own.

    `give_up` is called when going on is impossible; unless it ends the process, it has to see to it
    that deciding stops. Raises what ended the app, or `SettingsError`.
    """
    asyncio.run(_run(settings, stop, give_up, watch))


async def _run(settings: Settings, stop: threading.Event, give_up: GiveUp, watch: Watch) -> None:
    app = make_app(settings, give_up)
    with watch(app.progress):
        await _run_app(app, settings, stop, give_up)


async def _run_app(
    app: DecidingApp, settings: Settings, stop: threading.Event, give_up: GiveUp
) -> None:
    ending = asyncio.ensure_future(_ending(app, stop))
    starting = asyncio.ensure_future(app.start())
    watching = asyncio.ensure_future(_watch(app, give_up))
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            log.info("deciding.started", group=settings.deciding.group_id)
            await ending
    finally:  # also when it could not start: its consumer's thread would outlive the process
        ending.cancel()
        watching.cancel()
        await _stop(app, starting, give_up)
    if app.crash_reason is not None:
        raise app.crash_reason


async def _ending(app: DecidingApp, stop: threading.Event) -> None:
    """Wait until the worker is to stop or the app has crashed, both of which other threads say.

    Asking for them every 100 ms was a third of what an idle event loop has to do.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        with suppress(RuntimeError):  # deciding has ended, and its loop is closed
            loop.call_soon_threadsafe(ended.set)

    def end_after_stop() -> None:
        stop.wait()
        end()

    app.on_crashed = end
    threading.Thread(target=end_after_stop, name="understudy-deciding-stop", daemon=True).start()
    if not app.crashed:
        await ended.wait()


async def _watch(app: DecidingApp, give_up: GiveUp) -> None:
    """Keep the progress up to date, and give up when windows wait and nothing moves."""
    watchdog = StallWatchdog(WATCH_INTERVAL_S)
    asked: asyncio.Future[Lags] | None = None
    while True:
        await asyncio.sleep(WATCH_INTERVAL_S)
        applied = app.processor.applied_offsets
        asked = asked or asyncio.ensure_future(app.port.window_lags(applied))
        await asyncio.wait({asked}, timeout=LAGS_TIMEOUT_S)
        is_answered = asked.done()
        lags, asked = (asked.result(), None) if is_answered else (None, asked)
        _update(app, lags)
        if watchdog.is_stalled(applied, lags):
            stalled_s = watchdog.stalled_s
            log.error("deciding.stalled", stalled_s=stalled_s)
            give_up(TimeoutError(f"windows wait, and none was applied for {stalled_s:g} s"))
            return
        if watchdog.is_unanswered(is_answered, WATCH_INTERVAL_S + LAGS_TIMEOUT_S):
            unanswered_s = watchdog.unanswered_s
            log.error("deciding.consumer_hangs", unanswered_s=unanswered_s)
            give_up(TimeoutError(f"the consumer's thread has not answered for {unanswered_s:g} s"))
            return


def _update(app: DecidingApp, lags: Lags) -> None:
    recovery = cast(Any, app.tables).recovery
    app.progress.is_recovered = recovery.completed.is_set() and not app.rebalancing
    app.progress.lags = lags
    app.progress.updated_s = time.monotonic()


async def _stop(
    app: DecidingApp,
    starting: asyncio.Future[None],
    give_up: GiveUp,
    timeout_s: float = STOP_TIMEOUT_S,
) -> None:
    """Stop the app, which may still be recovering its table. Raises `TimeoutError`."""
    try:
        await app.processor.stop(SAVE_TIMEOUT_S)
        await asyncio.wait_for(app.stop(), timeout_s)
    except TimeoutError as error:  # the consumer's thread would keep the process alive
        log.error("deciding.stop_timed_out", timeout_s=timeout_s)
        give_up(error)
        raise
    if not starting.done():
        starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
