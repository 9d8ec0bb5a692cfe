"""Probes and metrics over a socket: status codes, formats, clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse

import pytest
from aiohttp import web

from tests.streams.monitoring.snapshots import snapshot
from understudy.streams.http.app import RUNNER, make_app
from understudy.streams.monitoring.metric_specs import SpecCollector
from understudy.streams.monitoring.pairing_health import (
    PairingCondition,
    pairing_health,
    pairing_readiness,
)
from understudy.streams.monitoring.pairing_metrics import PAIRING
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents

pytestmark = pytest.mark.embedded


class Pairing:
    """A worker that pairs, in a condition that tests choose."""

    condition = PairingCondition(not_joined=())

    def component(self) -> WorkerComponent:
        return WorkerComponent(
            health=lambda: pairing_health(self.condition),
            readiness=lambda: pairing_readiness(self.condition),
            metrics=SpecCollector(PAIRING, snapshot),
        )


@pytest.fixture
def pairing() -> Pairing:
    return Pairing()


@pytest.fixture
def address(pairing: Pairing) -> Iterator[tuple[str, int]]:
    """The application on an event loop in a thread."""
    components = WorkerComponents(("pairing",))
    ready, stop = threading.Event(), threading.Event()
    found: list[tuple[str, int]] = []

    async def serve() -> None:
        runner = web.AppRunner(make_app(components), **RUNNER)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(runner.addresses[0][:2])
        ready.set()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    with components.running("pairing", pairing.component()):
        thread.start()
        ready.wait()
        yield found[0]
        stop.set()
        thread.join()


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


def test_good_and_bad(address: tuple[str, int], pairing: Pairing) -> None:
    for path in ("/healthz", "/readyz"):
        status, body, _ = ask(address, path)
        assert (status, json.loads(body)) == (200, {"status": "ok", "reasons": []})
    pairing.condition = PairingCondition(not_joined=(), clickhouse_healthy=False)
    assert ask(address, "/healthz?verbose")[0] == ask(address, "/readyz")[0] == 200
    pairing.condition = PairingCondition(loader_failure="no rights \x1b[2J")
    status, body, response = ask(address, "/healthz")
    assert status == 503
    assert json.loads(body)["status"] == "failing"
    assert b"\x1b" not in body
    assert response.headers["Content-Type"].startswith("application/json")
    pairing.condition = PairingCondition(not_joined=("events",))
    assert (ask(address, "/healthz")[0], ask(address, "/readyz")[0]) == (200, 503)


def test_metrics_in_both_formats(address: tuple[str, int]) -> None:
    _, text, response = ask(address, "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b'understudy_events_read_total{source="events"} 12.0' in text
    assert b"understudy_ready 1.0" in text
    assert b"process_open_fds" in text
    _, text, response = ask(address, "/metrics", Accept="application/openmetrics-text")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_head_has_no_body(address: tuple[str, int]) -> None:
    status, body, response = ask(address, "/healthz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../healthz", "/%2e%2e/healthz"])
def test_other_paths_are_not_found(address: tuple[str, int], path: str) -> None:
    assert ask(address, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_written(address: tuple[str, int], method: str) -> None:
    assert ask(address, "/healthz", method)[0] == 405


def test_headers_are_careful_and_do_not_name_the_software(address: tuple[str, int]) -> None:
    headers = ask(address, "/healthz")[2].headers
    assert headers["Server"] == "understudy"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_silent_and_broken_clients_delay_no_others(address: tuple[str, int]) -> None:
    silent = [socket.create_connection(address) for _ in range(20)]
    garbage = socket.create_connection(address)
    garbage.sendall(b"\x00\xff\r\n\r\n")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(address, "/metrics")[0], range(40)))
    assert answers == [200] * 40
    for connection in (*silent, garbage):
        connection.close()
