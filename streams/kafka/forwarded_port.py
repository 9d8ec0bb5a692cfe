"""Another port of this machine that leads to a broker, so that its address can be known before.

A Kafka client asks the address that it is given where the brokers are, and then connects to those,
so the way through here is taken for the first question only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_CHUNK_BYTES: Final = 65_536
"""As much as a socket usually has at a time."""
_START_TIMEOUT_S: Final = 10.0
"""It takes milliseconds; a busy machine takes longer."""


@contextmanager
def forwarded_port(port: int, to: str) -> Iterator[None]:
    """Pass connections to `port` of localhost on to the address `to` (`host:port`).

    Raises `OSError` when the port cannot be listened at.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="understudy-forwarding", daemon=True)
    thread.start()
    try:
        listening = asyncio.run_coroutine_threadsafe(_listen(port, to), loop)
        server = listening.result(_START_TIMEOUT_S)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(_close(server), loop).result(_START_TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(port: int, to: str) -> asyncio.Server:
    host, _, target = to.rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection(host, int(target))
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(reader, other_writer))
            both.create_task(_copy(other_reader, writer))

    return await asyncio.start_server(connected, "localhost", port)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until one end is closed."""
    try:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


async def _close(server: asyncio.Server) -> None:
    """Stop listening and cut the connections that are left."""
    server.close()
    mine = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not mine]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
