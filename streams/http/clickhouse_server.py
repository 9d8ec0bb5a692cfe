"""Serves a worker's chDB folder over ClickHouse's HTTP interface, on this machine only.

A chDB folder can be open in one process, so analysts and dashboards ask the worker that has it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from understudy.streams.clickhouse.connect import parse_url
from understudy.streams.clickhouse.folder_holder import (
    holder_of,
    publish_address,
    withdraw_address,
)
from understudy.streams.clickhouse.read_only_chdb import ReadOnlyChdb, StatementFailed
from understudy.streams.clickhouse.sink_errors import SinkBroken
from understudy.streams.http.app import RUNNER
from understudy.streams.http.clickhouse_interface import make_clickhouse_app
from understudy.streams.http.server import stopped
from understudy.streams.settings import ClickHouseSettings

log = structlog.get_logger(__name__)

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 10.0
"""To listen: it takes milliseconds; a worker goes on without."""
CLOSE_TIMEOUT_S: Final = 2.0
"""For responses under way."""


@contextmanager
def embedded_clickhouse_server(settings: ClickHouseSettings) -> Iterator[None]:
    """Hold the folder open and serve it inside the context; nothing for another kind of URL.

    Raises `SinkBroken` where another process has the folder open.
    """
    target = parse_url(settings.url)
    if target.folder is None:
        yield
        return
    with _served(_opened(target.folder), target.folder, target.database, settings.embedded_port):
        yield


def _opened(folder: Path) -> ReadOnlyChdb:
    """The folder, made where it is missing. Raises `SinkBroken`."""
    holder = holder_of(folder)
    if holder is not None:
        raise SinkBroken(
            f"chdb://{folder} is open in {holder}, and a folder can be open in one process: stop "
            "it first, or give this worker another folder or a ClickHouse server"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return ReadOnlyChdb(folder)
    except ImportError:
        raise SinkBroken(
            f"chdb://{folder} needs the embedded ClickHouse: pip install 'understudy[embedded]'"
        ) from None
    except (OSError, StatementFailed) as error:
        raise SinkBroken(f"cannot open chdb://{folder}: {error}") from None


@contextmanager
def _served(chdb: ReadOnlyChdb, folder: Path, database: str, port: int) -> Iterator[None]:
    stop, started = threading.Event(), threading.Event()

    def run() -> None:
        try:
            asyncio.run(_serve(make_clickhouse_app(chdb, database), folder, port, started, stop))
        except Exception as error:
            log.error("clickhouse.serving_failed", error=repr(error), exc_info=error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="understudy-clickhouse-http", daemon=True)
    thread.start()
    started.wait(START_TIMEOUT_S)
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * CLOSE_TIMEOUT_S)
        withdraw_address(folder)
        if not thread.is_alive():  # else a statement is under way
            chdb.close()


async def _serve(
    app: web.Application, folder: Path, port: int, started: threading.Event, stop: threading.Event
) -> None:
    runner = web.AppRunner(app, shutdown_timeout=CLOSE_TIMEOUT_S, **RUNNER)
    await runner.setup()
    try:
        await _listen(runner, port)
        found = runner.addresses[0][1]
        publish_address(folder, found)
        log.info("clickhouse.serving", folder=str(folder), url=f"clickhouse://{HOST}:{found}")
        started.set()
        await stopped(stop)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    """Listen at the port, or at a free one where it is taken, as by a ClickHouse server."""
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        log.warning("clickhouse.port_taken", port=port, error=str(error))
        await web.TCPSite(runner, HOST, 0).start()
