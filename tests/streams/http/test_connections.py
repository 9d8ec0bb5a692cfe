"""Connections: their deadlines, and whose is closed when there are too many."""

from __future__ import annotations

import asyncio

import pytest

from understudy.streams.http.connections import (
    HEADERS_TIMEOUT_S,
    IDLE_TIMEOUT_S,
    Connections,
    client_of,
)


class Transport(asyncio.Transport):
    """Notes that it was closed."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class Server:
    """Connections of clients to a protocol that does nothing, at a time that the test sets."""

    def __init__(self, limit: int = 3) -> None:
        self.now_s = 0.0
        self.connections = Connections(limit, lambda: self.now_s)
        self._make = self.connections.protocols(asyncio.Protocol)

    def connect(self, address: str = "10.0.0.1") -> tuple[Transport, asyncio.Protocol]:
        transport, protocol = Transport(address), self._make()
        assert isinstance(protocol, asyncio.Protocol)
        protocol.connection_made(transport)
        return transport, protocol

    def after(self, seconds: float) -> None:
        self.now_s += seconds
        self.connections.close_overdue()


def test_a_request_that_comes_byte_by_byte_is_cut_off() -> None:
    server = Server()
    transport, protocol = server.connect()
    server.after(IDLE_TIMEOUT_S / 2)
    protocol.data_received(b"G")
    server.after(HEADERS_TIMEOUT_S / 2)
    protocol.data_received(b"E")
    assert not transport.is_aborted
    server.after(HEADERS_TIMEOUT_S / 2)
    assert transport.is_aborted
    assert len(server.connections) == 0


def test_an_idle_connection_is_closed_and_one_that_is_used_is_not() -> None:
    server = Server()
    idle, _ = server.connect()
    used, protocol = server.connect()
    server.after(IDLE_TIMEOUT_S / 2)
    protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    with server.connections.handling(used):
        server.after(IDLE_TIMEOUT_S * 10)
    assert idle.is_aborted
    assert not used.is_aborted, "handlers have deadlines of their own"
    server.after(IDLE_TIMEOUT_S)
    assert used.is_aborted, "its response was not taken, or nothing followed"


def test_a_new_connection_takes_the_place_of_the_largest_clients_oldest() -> None:
    server = Server(limit=3)
    gateway, _ = server.connect("10.0.0.9")
    slow = [server.connect("10.0.0.1")[0] for _ in range(2)]
    probe, _ = server.connect("10.0.0.2")
    assert [one.is_aborted for one in (*slow, gateway, probe)] == [True, False, False, False]
    assert len(server.connections) == 3


def test_requests_that_are_handled_are_spared_while_others_are_idle() -> None:
    server = Server(limit=3)
    waiting = [server.connect("10.0.0.1")[0] for _ in range(2)]
    idle, _ = server.connect("10.0.0.9")
    with server.connections.handling(waiting[0]), server.connections.handling(waiting[1]):
        server.connect("10.0.0.2")
        assert idle.is_aborted
        assert not any(one.is_aborted for one in waiting)


def test_when_all_are_busy_only_the_largest_client_makes_room() -> None:
    server = Server(limit=2)
    busy = [server.connect("10.0.0.1")[0] for _ in range(2)]
    with server.connections.handling(busy[0]), server.connections.handling(busy[1]):
        more, _ = server.connect("10.0.0.1")
        assert more.is_aborted
        probe, _ = server.connect("10.0.0.2")
        assert busy[0].is_aborted
        assert not probe.is_aborted
    assert len(server.connections) == 2


def test_a_connection_that_was_lost_leaves_its_place() -> None:
    server = Server(limit=1)
    transport, protocol = server.connect()
    with server.connections.handling(transport):
        protocol.connection_lost(None)
    assert len(server.connections) == 0
    server.after(IDLE_TIMEOUT_S)
    assert not transport.is_aborted


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_network_of_ipv6_is_one_client(address: str | None, client: str) -> None:
    assert client_of(address) == client
