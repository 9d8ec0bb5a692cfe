"""The Faust app as a service of a process that has other things to do, too."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

import structlog

from understudy.streams.deciding.faust_app import DecidingApp, make_app
from understudy.streams.settings import Settings

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.1
STOP_S: Final = 30.0


def run_deciding(settings: Settings, stop: threading.Event) -> None:
    """Decide until told to stop, in an event loop of this thread's own.

    Raises what ended the app, or `SettingsError`.
    """
    asyncio.run(_run(settings, stop))


async def _run(settings: Settings, stop: threading.Event) -> None:
    app = make_app(settings)
    starting = asyncio.ensure_future(app.start())
    told = False
    while not stop.is_set() and not app.crashed:
        await asyncio.sleep(LOOK_EVERY_S)
        if starting.done() and not told:
            starting.result()
            told = True
            log.info("deciding.started", group=settings.deciding.group_id)
    await _stop(app, starting)
    if app.crash_reason is not None:
        raise app.crash_reason


async def _stop(app: DecidingApp, starting: asyncio.Future[None]) -> None:
    """An app that is still recovering its table notices, too."""
    await asyncio.wait_for(app.stop(), STOP_S)
    if not starting.done():
        starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
