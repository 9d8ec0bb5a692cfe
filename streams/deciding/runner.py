"""The Faust app as a service of a process that has other things to do, too."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, cast

import structlog

from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.faust_app import DecidingApp, make_app
from understudy.streams.deciding.processor import end_process
from understudy.streams.settings import Settings

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.1
LAG_EVERY_S: Final = 2.0
ANSWER_WITHIN_S: Final = 5.0
STALL_S: Final = 20.0
STOP_S: Final = 30.0


Lags = dict[int, int] | None
GiveUp = Callable[[BaseException], object]


Watch = Callable[[DecidingProgress], AbstractContextManager[object]]
"""Tells of the progress meanwhile."""


def run_deciding(
    settings: Settings,
    stop: threading.Event,
    *,
    give_up: GiveUp = end_process,
    watch: Watch = nullcontext,
) -> None:
    """Decide until told to stop, in an event loop of this thread's own.

    `give_up` is called when going on is impossible; unless it ends the process, it has to see to it
    that deciding stops. Raises what ended the app, or `SettingsError`.
    """
    asyncio.run(_run(settings, stop, give_up, watch))


async def _run(settings: Settings, stop: threading.Event, give_up: GiveUp, watch: Watch) -> None:
    app = make_app(settings)
    app.give_up = give_up
    with watch(app.progress):
        await _decide(app, settings, stop)


async def _decide(app: DecidingApp, settings: Settings, stop: threading.Event) -> None:
    starting = asyncio.ensure_future(app.start())
    watching = asyncio.ensure_future(_watch(app))
    told = False
    try:
        while not stop.is_set() and not app.crashed:
            await asyncio.sleep(LOOK_EVERY_S)
            if starting.done() and not told:
                starting.result()
                told = True
                log.info("deciding.started", group=settings.deciding.group_id)
    finally:  # also when it could not start: its consumer's thread would outlive the process
        watching.cancel()
        await _stop(app, starting)
    if app.crash_reason is not None:
        raise app.crash_reason


async def _watch(app: DecidingApp) -> None:
    """End the process when windows wait and nothing moves.

    Commits alone do not tell: after another worker died, Faust 0.15.3 was seen to judge on for a
    while without committing. A process that starts anew reads again, which changes nothing.
    """
    handled, still_s = dict(app.handled), 0.0
    asked: asyncio.Future[Lags] | None = None
    while True:
        await asyncio.sleep(LAG_EVERY_S)
        asked = asked or asyncio.ensure_future(_lags(app))
        await asyncio.wait({asked}, timeout=ANSWER_WITHIN_S)
        lags, asked = (asked.result(), None) if asked.done() else (None, asked)
        _note(app, lags)
        moves = app.handled != handled or not any((lags or {}).values())
        handled, still_s = dict(app.handled), 0.0 if moves else still_s + LAG_EVERY_S
        if still_s >= STALL_S:
            log.error("deciding.stalled", seconds=still_s)
            app.give_up(TimeoutError(f"windows wait, and nothing moved for {still_s:g} s"))
            return


def _note(app: DecidingApp, lags: Lags) -> None:
    recovery = cast(Any, app.tables).recovery
    app.progress.is_recovered = recovery.completed.is_set() and not app.rebalancing
    app.progress.lags = lags
    app.progress.updated_s = time.monotonic()


async def _lags(app: DecidingApp) -> Lags:
    """Windows neither committed nor handled, by partition held; None when nobody can tell."""
    held = {place for place in app.consumer.assignment() if place.topic == app.windows_topic}
    if not held:
        return {}
    try:
        ends = await app.consumer.highwaters(*held)
        begins = await app.consumer.earliest_offsets(*held)
    except Exception:  # the broker is away: nothing can move
        return None
    committed = cast(Any, app.consumer)._committed_offset
    done = {
        place: max(
            begins[place] or 0,
            committed.get(place) or 0,
            app.handled.get((place.topic, place.partition), 0),
        )
        for place in held
    }
    return {place.partition: max(0, (ends[place] or 0) - done[place]) for place in held}


async def _stop(app: DecidingApp, starting: asyncio.Future[None]) -> None:
    """An app that is still recovering its table notices, too."""
    await asyncio.wait_for(app.stop(), STOP_S)
    if not starting.done():
        starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
