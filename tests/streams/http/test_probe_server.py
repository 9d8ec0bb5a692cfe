"""The server over a socket: answers, status codes, clients that misbehave."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import pytest
from prometheus_client import CollectorRegistry

from tests.streams.monitoring.snapshots import snapshot
from understudy.streams.http.probe_server import PageServer, metrics_page, report_page
from understudy.streams.monitoring.health import HealthReport
from understudy.streams.monitoring.metric_specs import SpecCollector
from understudy.streams.monitoring.pairing_health import PairingCondition, pairing_health
from understudy.streams.monitoring.pairing_metrics import PAIRING

pytestmark = pytest.mark.embedded


class Worker:
    """What the pages tell of."""

    condition = PairingCondition(not_joined=())

    def report(self) -> HealthReport:
        return pairing_health(self.condition)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def address(worker: Worker) -> Iterator[tuple[str, int]]:
    registry = CollectorRegistry()
    registry.register(SpecCollector(PAIRING, snapshot))
    pages = {"/healthz": report_page(worker.report), "/metrics": metrics_page(registry)}
    server = PageServer("127.0.0.1", 0, pages)
    with server.running():
        host, port = server.server_address[:2]
        yield str(host), int(port)


def ask(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, HTTPResponse]:
    request = urllib.request.Request(
        f"http://{address[0]}:{address[1]}{path}", method=method, headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read(), response
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error  # type: ignore[return-value]


def test_good_and_bad(address: tuple[str, int], worker: Worker) -> None:
    status, body, _ = ask(address, "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "reasons": []})
    worker.condition = PairingCondition(not_joined=(), clickhouse_healthy=False)
    assert ask(address, "/healthz?verbose")[0] == 200
    worker.condition = PairingCondition(loader_failure="no rights \x1b[2J")
    status, body, response = ask(address, "/healthz")
    assert status == 503
    assert json.loads(body)["status"] == "failing"
    assert b"\x1b" not in body
    assert response.headers["Content-Type"] == "application/json"


def test_metrics_in_both_formats(address: tuple[str, int]) -> None:
    _, text, response = ask(address, "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b'understudy_events_read_total{source="events"} 12.0' in text
    _, text, response = ask(address, "/metrics", Accept="application/openmetrics-text")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_head_has_no_body(address: tuple[str, int]) -> None:
    status, body, response = ask(address, "/healthz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../healthz", "/%68ealthz"])
def test_other_paths_are_not_found(address: tuple[str, int], path: str) -> None:
    assert ask(address, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(address: tuple[str, int], method: str) -> None:
    assert ask(address, "/healthz", method)[0] == 501


def test_the_software_is_not_named(address: tuple[str, int]) -> None:
    assert ask(address, "/healthz")[2].headers["Server"] == "understudy"


def test_silent_and_broken_clients_hold_up_nobody(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address) for _ in range(20)]
    garbage = socket.create_connection(address)
    garbage.sendall(b"\x00\xff\r\n\r\n")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(address, "/metrics")[0], range(40)))
    assert answers == [200] * 40
    for connection in (*silent, garbage):
        connection.close()


def test_an_address_that_is_taken(address: tuple[str, int]) -> None:
    with pytest.raises(OSError, match="in use"):
        PageServer(*address, {})


def test_ipv6() -> None:
    try:
        server = PageServer("::1", 0, {})
    except OSError:
        pytest.skip("no IPv6 here")
    with server.running():
        pass
