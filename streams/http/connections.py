"""The open connections: how many there may be, and which are closed when.

Whoever opens many connections, sends a request byte by byte or never takes a response must keep
neither probes nor gateways out. So a request has a deadline to arrive, an idle connection one to
be used again, and when all places are taken, a new connection gets one from the client that holds
most of them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from understudy.streams.logs import LogLimit

log = structlog.get_logger(__name__)

HEADERS_TIMEOUT_S: Final = 10.0
"""From a request's first byte to the end of its headers; it takes two round trips at most."""
IDLE_TIMEOUT_S: Final = 75.0
"""For a response to be taken and a next request to begin: longer than load balancers, which keep
connections for 60 s, so that they are the ones that close."""
CHECK_INTERVAL_S: Final = 1.0
"""How late a deadline may be noticed."""
_IPV6_SITE_BITS: Final = 64
"""What one customer is given; its holder has all addresses in it."""

Protocols = Callable[[], asyncio.Protocol]


def client_of(address: str | None) -> str:
    """Who shares one allowance: an IPv4 address, or a network of IPv6."""
    with suppress(ValueError):
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, _IPV6_SITE_BITS), strict=False))
    return address or ""


@dataclass(slots=True)
class _Client:
    """The connections of one client, the oldest first."""

    idle: dict[_Connection, None] = field(default_factory=dict)
    """Waiting for a request, for the rest of one, or for the response to be taken."""
    busy: dict[_Connection, None] = field(default_factory=dict)
    """With a request that is being handled."""

    def __len__(self) -> int:
        return len(self.idle) + len(self.busy)


class Connections:
    """All open connections of one server; belongs to its event loop."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._clients: dict[str, _Client] = {}
        self._by_transport: dict[asyncio.BaseTransport, _Connection] = {}
        self._log = LogLimit(log, most=1)

    def __len__(self) -> int:
        return len(self._by_transport)

    def protocols(self, make_protocol: Protocols) -> Protocols:
        """What to listen with: connections that are counted, and speak the protocol."""
        return lambda: _Connection(self, make_protocol)

    @contextmanager
    def handling(
        self, transport: asyncio.BaseTransport | None, task: asyncio.Task[Any] | None = None
    ) -> Iterator[None]:
        """While a request is handled its connection has no deadline; handlers have their own.

        The task is cancelled when the client leaves.
        """
        connection = self._by_transport.get(transport) if transport else None
        if connection is None:
            yield
            return
        self._set_busy(connection, True)
        connection.task = task
        try:
            yield
        finally:
            connection.task = None
            self._set_busy(connection, False)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Close what is overdue inside the context."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()

    def close_overdue(self) -> None:
        """Close the connections whose deadline has passed."""
        now_s = self._clock()
        for connection in list(self._by_transport.values()):
            if connection.deadline_s is not None and now_s >= connection.deadline_s:
                self._close(connection)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            self.close_overdue()

    # Called by connections

    def admit(self, connection: _Connection) -> bool:
        """Give a new connection a place, another's if need be; whether it has one."""
        if len(self) >= self.limit:
            victim = self._victim(connection.client)
            self._log.warning("http.connections_full", limit=self.limit, client=connection.client)
            if victim is None:
                return False
            self._close(victim)
        self._by_transport[connection.transport] = connection
        self._clients.setdefault(connection.client, _Client()).idle[connection] = None
        connection.deadline_s = self._clock() + IDLE_TIMEOUT_S
        return True

    def note_bytes(self, connection: _Connection) -> None:
        """The first bytes of a request start the time for the rest of its headers."""
        if connection.deadline_s is not None and not connection.is_receiving:
            connection.is_receiving = True
            connection.deadline_s = self._clock() + HEADERS_TIMEOUT_S

    def forget(self, connection: _Connection) -> None:
        """The connection is closed."""
        if self._by_transport.pop(connection.transport, None) is None:
            return
        client = self._clients[connection.client]
        client.idle.pop(connection, None)
        client.busy.pop(connection, None)
        if not len(client):
            del self._clients[connection.client]

    def _set_busy(self, connection: _Connection, is_busy: bool) -> None:
        if connection.transport not in self._by_transport:
            return  # closed meanwhile
        client = self._clients[connection.client]
        source, target = (client.idle, client.busy) if is_busy else (client.busy, client.idle)
        source.pop(connection, None)
        target[connection] = None
        connection.is_receiving = False
        connection.deadline_s = None if is_busy else self._clock() + IDLE_TIMEOUT_S

    def _close(self, connection: _Connection) -> None:
        """At once, whatever is still to be sent: the client does not take it."""
        self.forget(connection)
        connection.transport.abort()

    def _victim(self, newcomer: str) -> _Connection | None:
        """The connection to close for a new one: an idle one, else one of a client with more."""
        clients = self._clients.values()
        largest = max(clients, key=lambda client: len(client.idle))
        if largest.idle:
            return next(iter(largest.idle))
        largest = max(clients, key=lambda client: len(client.busy))
        held = len(self._clients.get(newcomer, ()))
        return next(iter(largest.busy)) if len(largest.busy) > held + 1 else None


class _Connection(asyncio.Protocol):
    """Passes everything on to the protocol of a request, once it has a place."""

    def __init__(self, connections: Connections, make_protocol: Protocols) -> None:
        self._connections, self._make_protocol = connections, make_protocol
        self._protocol: asyncio.Protocol | None = None
        self.transport: asyncio.Transport
        self.client = ""
        self.deadline_s: float | None = None
        self.is_receiving = False
        self.task: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.client = client_of(peer[0] if isinstance(peer, tuple) else None)
        if not self._connections.admit(self):
            transport.abort()
            return
        self._protocol = self._make_protocol()
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._connections.note_bytes(self)
        if self._protocol is not None:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received() if self._protocol is not None else None

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.forget(self)
        if self.task is not None:
            self.task.cancel()
        if self._protocol is not None:
            self._protocol.connection_lost(error)


CONNECTIONS: Final = web.AppKey("connections", Connections)
_SAFE: Final = ("GET", "HEAD")


@web.middleware
async def tracked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request for as long as its client is there; a write to its end in any case.

    A client that leaves cancels what it asked for, so that it holds no place of those who wait.
    But who sends `kill` and leaves has killed, with all that belongs to it.
    """
    task = asyncio.current_task() if request.method in _SAFE else None
    with request.app[CONNECTIONS].handling(request.transport, task):
        return await handler(request)
