"""The broker stops, dies, comes back, or is not there yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.harness import Run
from tests.faults.processes import GRACE_S, stop, wait_until, wait_until_logged
from tests.faults.workload import Message, Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]

AWAY_S = 1.0
"""For so long the broker is away: beyond the clients' retries of 100 ms to 500 ms."""


@contextmanager
def publishing(run: Run, messages: list[Message]) -> Iterator[None]:
    """Publish in a thread, which waits out the broker's absence."""

    def publish() -> None:
        for start in range(0, len(messages), 20):
            run.publish(messages[start : start + 20])
            time.sleep(0.02)  # a thousand messages a second

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize(("end", "protocol"), [("stop", "classic"), ("kill", "consumer")])
def test_restarted_under_load(
    own_broker: Broker, clickhouse: ClickHouseServer, end: str, protocol: str
) -> None:
    with Run(own_broker, clickhouse, protocol=protocol) as run:
        run.worker()
        run.worker()
        finish: Callable[[], None] = getattr(own_broker, end)
        with publishing(run, Workload(31, 1200).messages):
            wait_until(lambda: any(run.committed().values()), "the workers are under way")
            finish()
            time.sleep(AWAY_S)
            own_broker.restart()
        run.wait_until_complete()
        run.stop_workers()
        run.check()


def test_sigterm_while_the_broker_is_away(own_broker: Broker, clickhouse: ClickHouseServer) -> None:
    with Run(own_broker, clickhouse) as run:
        worker = run.command_worker()
        chunks = Workload(32, 600).chunks(2)
        run.publish(chunks[0])
        run.wait_until_complete()
        run.publish(chunks[1])
        own_broker.kill()
        time.sleep(AWAY_S)
        took_s = stop(worker)
        print(f"stopped in {took_s:.1f} s")
        assert took_s < GRACE_S
        own_broker.restart()
        run.worker()
        run.wait_until_complete()
        run.stop_workers()
        run.check()


def test_not_there_yet(own_broker: Broker, clickhouse: ClickHouseServer) -> None:
    """A worker waits for it a while, and can be told to stop meanwhile."""
    with Run(own_broker, clickhouse) as run:
        run.publish(Workload(33, 200).messages)
        own_broker.stop()
        stopped = run.command_worker()
        time.sleep(AWAY_S)  # it may be starting or waiting: either way it ends when told
        assert stop(stopped) < GRACE_S
        worker = run.worker()
        time.sleep(AWAY_S)
        own_broker.restart()
        wait_until_logged(worker, "partitions.assigned")
        run.wait_until_complete()
        run.stop_workers()
        run.check()
