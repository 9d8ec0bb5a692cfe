"""A port that leads to another one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.forwarded_port import forwarded_port

pytestmark = pytest.mark.embedded


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that says what it hears."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while heard := connection.recv(1000):
                    connection.sendall(heard)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def said(connection: socket.socket, count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        heard += connection.recv(count)
    return heard


def test_both_ways_and_to_the_end(port: int, echo: str) -> None:
    long = bytes(range(256)) * 2_000
    with forwarded_port(port, echo), socket.create_connection(("127.0.0.1", port), 10) as one:
        threading.Thread(target=one.sendall, args=(long,), daemon=True).start()
        assert said(one, len(long)) == long


def test_the_end_closes_what_is_open_and_frees_the_port(port: int, echo: str) -> None:
    with forwarded_port(port, echo):
        one = socket.create_connection(("127.0.0.1", port), 10)
        one.sendall(b"a")
        assert said(one, 1) == b"a"
    assert one.recv(1) == b""
    one.close()
    with forwarded_port(port, echo):
        pass


def test_nobody_behind_it_ends_a_connection(port: int) -> None:
    nobody = "127.0.0.1:1"
    with forwarded_port(port, nobody), socket.create_connection(("127.0.0.1", port), 10) as one:
        assert one.recv(1) == b""


def test_a_port_that_is_taken_is_said(echo: str) -> None:
    taken = int(echo.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), forwarded_port(taken, echo):
        pass


def test_a_kafka_client_finds_the_broker_behind_it(port: int) -> None:
    with EmbeddedBroker() as broker, forwarded_port(port, broker.bootstrap_servers):
        admin = AdminClient({"bootstrap.servers": f"localhost:{port}", "log_level": 0})
        (found,) = admin.list_topics(timeout=10).brokers.values()
        assert f"{found.host}:{found.port}" == broker.bootstrap_servers
