"""A worker in a process of its own answers over HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.brokers.contract import Broker
from tests.integration.processes import Worker, settings
from tests.streams.operating.brokers import MakeTopics, event, key, settings_for, write
from understudy.streams.serving.server import serving
from understudy.streams.settings import ServingSettings
from understudy.streams.worker import pairing

pytestmark = pytest.mark.integration


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def status_of(url: str) -> Callable[[], Any]:
    return lambda: json.loads(ask(url)[1])["status"]


def test_from_start_to_metrics(kafka_broker: Broker, topics: MakeTopics, tmp_path: Path) -> None:
    specs = topics()
    write(kafka_broker, specs.events.name, [(key(n), event(n), []) for n in range(20)])
    environment = settings(kafka_broker, specs, UNDERSTUDY_SERVING_PORT="0")
    with Worker(tmp_path, environment) as worker:
        address = worker.address("serving.started")
        worker.wait_until(lambda: ask(f"{address}/readyz")[0] == 200, "ready")
        for counter in ('read_total{source="events"} 20.0', 'read_total{source="feedback"} 0.0'):
            worker.wait_until(lambda c=counter: c in ask(f"{address}/metrics")[1], counter)
        assert ask(f"{address}/healthz") == (200, '{"status":"ok","reasons":[]}\n')
        assert worker.terminate() == 0


def test_without_clickhouse_it_is_ready_and_degraded(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    specs = topics()
    write(kafka_broker, specs.events.name, [(key(2), b"{", [])])
    whole = settings_for(kafka_broker, specs, "clickhouse://127.0.0.1:1/understudy")
    whole = msgspec.structs.replace(whole, serving=ServingSettings(port=free_port()))
    address = f"http://127.0.0.1:{whole.serving.port}"
    stop = threading.Event()
    with pairing(whole, whole.pairing_policy(), partial(serving, whole)) as readers:
        threads = [threading.Thread(target=reader.run, args=(stop,)) for reader in readers]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while status_of(f"{address}/readyz")() != "degraded" and time.monotonic() < deadline:
            time.sleep(0.1)
        ready, alive = ask(f"{address}/readyz"), ask(f"{address}/healthz")
        stop.set()
        for thread in threads:
            thread.join()
    assert (ready[0], alive[0]) == (200, 200)
    assert "ClickHouse does not take inserts" in alive[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_port_that_is_taken_does_not_stop_a_worker(
    kafka_broker: Broker, topics: MakeTopics, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = settings(kafka_broker, topics(), UNDERSTUDY_SERVING_PORT=port)
        with Worker(tmp_path, environment) as worker:
            worker.wait_for_log('"serving.unavailable"')
            worker.wait_for_log('"partitions.assigned"')
            assert worker.terminate() == 0
