"""A worker in a process of its own answers over HTTP."""

from __future__ import annotations

import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.brokers.contract import Broker
from tests.integration.processes import COMMAND, Worker, settings
from tests.streams.diagnostics.brokers import MakeTopics, event, key, settings_for, write
from tests.waiting import wait_until
from understudy.schemas.topics import ROLLOUT_PARTITIONS
from understudy.streams import worker
from understudy.streams.http.server import http_server
from understudy.streams.monitoring.pairing_monitor import monitor_pairing
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import ClickHouseSettings, HttpSettings
from understudy.streams.worker import _critical_thread, _self_healing_thread, pairing


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_degraded(url: str) -> bool:
    try:
        return bool(json.loads(ask(url)[1])["status"] == "degraded")
    except urllib.error.URLError:  # it does not listen yet
        return False


@pytest.mark.integration
def test_from_start_to_metrics(kafka_broker: Broker, topics: MakeTopics, tmp_path: Path) -> None:
    specs = topics()
    write(kafka_broker, specs.events.name, [(key(n), event(n), []) for n in range(20)])
    environment = settings(kafka_broker, specs, UNDERSTUDY_HTTP_PORT="0")
    with Worker(tmp_path, environment) as worker:
        address = worker.address("http.started")
        worker.wait_until(lambda: ask(f"{address}/readyz")[0] == 200, "ready")
        for counter in ('read_total{source="events"} 20.0', 'read_total{source="feedback"} 0.0'):
            worker.wait_until(lambda c=counter: c in ask(f"{address}/metrics")[1], counter)
        assert ask(f"{address}/healthz") == (200, '{"status":"ok","reasons":[]}\n')
        assert worker.terminate() == 0


@pytest.mark.integration
def test_without_clickhouse_it_is_ready_and_degraded(
    kafka_broker: Broker, topics: MakeTopics
) -> None:
    specs = topics()
    write(kafka_broker, specs.events.name, [(key(2), b"{", [])])
    whole = settings_for(kafka_broker, specs, "clickhouse://127.0.0.1:1/understudy")
    whole = msgspec.structs.replace(whole, http=HttpSettings(port=free_port()))
    address = f"http://127.0.0.1:{whole.http.port}"
    stop = threading.Event()
    worker = WorkerComponents(("pairing",))
    with (
        http_server(whole, worker, with_api=False),
        pairing(
            whole,
            PairingPolicy.from_settings(whole),
            partial(monitor_pairing, whole.kafka, whole.http.stall_timeout_s, worker),
        ) as readers,
    ):
        threads = [threading.Thread(target=reader.run, args=(stop,)) for reader in readers]
        for thread in threads:
            thread.start()
        wait_until(lambda: is_degraded(f"{address}/readyz"), "inserts have failed")
        ready, alive = ask(f"{address}/readyz"), ask(f"{address}/healthz")
        stop.set()
        for thread in threads:
            thread.join()
    assert (ready[0], alive[0]) == (200, 200)
    assert "inserts into ClickHouse fail" in alive[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.integration
def test_a_port_that_is_taken_does_not_stop_a_worker(
    kafka_broker: Broker, topics: MakeTopics, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = settings(kafka_broker, topics(), UNDERSTUDY_HTTP_PORT=port)
        with Worker(tmp_path, environment) as worker:
            worker.wait_for_log('"http.address_unavailable"')
            worker.wait_for_log('"partitions.assigned"')
            assert worker.terminate() == 0


DECIDING = (*COMMAND, "worker", "--role", "deciding")
LITTLE = b'{"rollout_id": "helpdesk", "rows": 7}'


@pytest.mark.integration
def test_deciding_is_exposed(kafka_broker: Broker, topics: MakeTopics, tmp_path: Path) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    write(kafka_broker, specs.windows.name, [(b"helpdesk", LITTLE, [])])
    environment = settings(kafka_broker, specs, UNDERSTUDY_HTTP_PORT="0")
    with Worker(tmp_path, environment, DECIDING) as worker:
        address = worker.address("http.started")
        status, body = ask(f"{address}/readyz")
        assert (status, json.loads(body)["status"]) == (503, "failing"), "nothing is recovered yet"
        assert ask(f"{address}/healthz")[0] == 200
        worker.wait_until(lambda: ask(f"{address}/readyz")[0] == 200, "ready")
        wanted = (
            f'understudy_deciding_messages_total{{topic="{specs.windows.name}"}} 1.0',
            'understudy_deciding_dead_letters_total{reason="invalid_windows"} 1.0',
            "understudy_deciding_partitions 4.0",
            "understudy_deciding_recovered 1.0",
            'understudy_deciding_lag_records{partition="0"} 0.0',
            "understudy_ready 1.0",
        )
        worker.wait_until(
            lambda: all(line in ask(f"{address}/metrics")[1] for line in wanted), "metrics"
        )
        assert "understudy_events_total" not in ask(f"{address}/metrics")[1]
        assert worker.terminate() == 0


HANGING = """
import time
from understudy.streams.commands.main import main
from understudy.streams.deciding.processor import DecisionProcessor
DecisionProcessor._apply_windows = lambda *_: time.sleep(600)
main(["worker", "--role", "deciding"])
"""


@pytest.mark.integration
@pytest.mark.slow
def test_probes_are_answered_while_the_event_loop_of_deciding_hangs(
    kafka_broker: Broker, topics: MakeTopics, tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    environment = settings(
        kafka_broker, specs, UNDERSTUDY_HTTP_PORT="0", UNDERSTUDY_HTTP_STALL_TIMEOUT_S="6"
    )
    with Worker(tmp_path, environment, (sys.executable, "-c", HANGING)) as worker:
        address = worker.address("http.started")
        worker.wait_until(lambda: ask(f"{address}/readyz")[0] == 200, "ready")
        write(kafka_broker, specs.windows.name, [(b"helpdesk", LITTLE, [])])
        worker.wait_until(lambda: ask(f"{address}/healthz")[0] == 503, "failing")
        (reason,) = json.loads(ask(f"{address}/healthz")[1])["reasons"]
        assert reason.startswith("deciding has not responded for")
        assert ask(f"{address}/readyz")[0] == 503
        assert "understudy_healthy 0.0" in ask(f"{address}/metrics")[1]
        assert ask(f"{address}/api/v1/rollouts") == (200, '{"rollouts":[]}\n')


@pytest.mark.integration
def test_one_page_has_the_metrics_of_both(
    kafka_broker: Broker, topics: MakeTopics, tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    environment = settings(kafka_broker, specs, UNDERSTUDY_HTTP_PORT="0")
    with Worker(tmp_path, environment, (*COMMAND, "worker")) as worker:
        address = worker.address("http.started")
        worker.wait_until(lambda: ask(f"{address}/readyz")[0] == 200, "ready")
        page = ask(f"{address}/metrics")[1]
        for name in ("understudy_events_read_total", "understudy_deciding_decisions_total"):
            assert f"# TYPE {name}" in page
        assert page.count("# TYPE understudy_healthy") == 1
        assert worker.terminate() == 0


@pytest.mark.integration
def test_a_deciding_worker_without_partitions_is_ready(
    kafka_broker: Broker, topics: MakeTopics, tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    environment = settings(kafka_broker, specs, UNDERSTUDY_HTTP_PORT="0")
    with ExitStack() as stack:
        addresses = []
        for number in range(ROLLOUT_PARTITIONS + 1):
            folder = tmp_path / str(number)
            folder.mkdir()
            worker = stack.enter_context(Worker(folder, environment, DECIDING))
            addresses.append(worker.address("http.started"))

        def spread() -> bool:
            pages = [ask(f"{address}/metrics")[1] for address in addresses]
            held = ["understudy_deciding_partitions 1.0" in page for page in pages]
            ready = ["understudy_ready 1.0" in page for page in pages]
            return sum(held) == ROLLOUT_PARTITIONS and all(ready)

        worker.wait_until(spread, "one partition each, and all ready")


# Threads of a role


def until_stopped(stop: threading.Event) -> None:
    assert stop.wait(10.0)


def test_the_end_of_a_critical_thread_ends_the_worker_and_is_raised() -> None:
    stop = threading.Event()

    def fail(_: threading.Event) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), _critical_thread(fail, stop, "test"):
        assert stop.wait(10.0), "the other thread is to stop, too"


@pytest.mark.parametrize("run_in_thread", [_critical_thread, _self_healing_thread])
def test_a_thread_ends_with_its_context(run_in_thread: Any) -> None:
    stop = threading.Event()
    with run_in_thread(until_stopped, stop, "test-worker-thread"):
        assert "test-worker-thread" in {thread.name for thread in threading.enumerate()}
    assert stop.is_set()
    assert "test-worker-thread" not in {thread.name for thread in threading.enumerate()}


def test_what_the_context_raises_is_raised_and_the_thread_ends() -> None:
    stop = threading.Event()
    with pytest.raises(KeyError), _critical_thread(until_stopped, stop, "test"):
        raise KeyError
    assert stop.is_set()


def test_windows_are_added_up_unless_the_interval_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    intervals: list[float] = []

    def keep(_: object, interval_s: float, stop: threading.Event) -> None:
        intervals.append(interval_s)
        stop.wait(60)

    monkeypatch.setattr(worker, "keep_rolled_up", keep)
    for interval_s in (0.0, 7.0):
        with worker._rolling_up(ClickHouseSettings(rollup_interval_s=interval_s)):
            pass
    assert intervals == [7.0]
