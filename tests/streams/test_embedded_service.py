"""The ports of the embedded service; the service as its user runs it: commands/test_up.py."""

from __future__ import annotations

import socket

import pytest

from understudy.streams.embedded_service import KAFKA_PORT, _unusual, free_port


@pytest.mark.embedded
def test_a_usual_port_that_is_taken_gives_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_only_unusual_ports_are_to_be_told() -> None:
    assert _unusual(KAFKA_PORT, 8123) == {}
    assert _unusual(1, 2) == {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
        "UNDERSTUDY_CLICKHOUSE_URL": "clickhouse://127.0.0.1:2",
    }
