"""ClickHouse refuses, hangs, fails half-way, stays away: the tables are whole in the end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import OUTAGES, ClickHouseServer, Fault
from tests.faults.harness import Run
from tests.faults.processes import GRACE_S, Killable, stop, wait_until, wait_until_logged
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]

SMALL_BUFFER = 60_000
MEMORY_SLACK = 60 * 1024 * 1024


@pytest.mark.parametrize("fault", OUTAGES)
def test_an_outage(run: Callable[..., Run], fault: Fault) -> None:
    away = run()
    chunks = Workload(21, 900).chunks(3)
    worker = away.worker()
    away.publish(chunks[0])
    away.fault(fault)
    away.publish(chunks[1])
    wait_until_read(away, worker)
    away.fault(Fault.NONE)
    away.publish(chunks[2])
    away.wait_until_complete()
    away.stop_workers()
    away.check()


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HALF])
def test_away_for_longer_than_the_buffer(run: Callable[..., Run], fault: Fault) -> None:
    """Window rows flow on; when it is back the worker reads again what is missing."""
    away = run(clickhouse_buffer_bytes=SMALL_BUFFER)
    worker = away.worker()
    chunks = Workload(22, 900).chunks(3)
    away.publish(chunks[0])
    away.wait_until_complete()
    away.fault(fault)
    before = max(row["version"] for row in away.window_rows())
    away.publish(chunks[1])
    wait_until_logged(worker, "clickhouse.behind")
    away.publish(chunks[2])
    wait_until_read(away, worker)
    assert max(row["version"] for row in away.window_rows()) > before
    away.fault(Fault.NONE)
    away.wait_until_complete()
    assert "clickhouse.back" in worker.log
    away.stop_workers()
    away.check()


def wait_until_read(run: Run, worker: Killable) -> None:
    """Until the window rows of everything published are in Kafka, whatever ClickHouse does."""
    ends = run.ends()
    wait_until(lambda: versions(run) == ends, "window rows flow on", worker=worker)


def versions(run: Run) -> dict[int, int]:
    """The highest version of a row of each partition."""
    newest: dict[int, int] = {}
    for row in run.window_rows():
        number = row["partition"]
        newest[number] = max(row["version"], newest.get(number, 0))
    return newest


def test_a_backlog_larger_than_the_buffer_gets_in(run: Callable[..., Run]) -> None:
    """A slow ClickHouse after an outage: each rewind gets further than the last."""
    behind = run(clickhouse_buffer_bytes=4 * SMALL_BUFFER, partitions=1)
    behind.fault(Fault.SLOW)
    behind.publish(Workload(23, 800).messages)
    behind.worker()
    behind.wait_until_complete(90)
    behind.stop_workers()
    behind.check()


def test_killed_while_clickhouse_is_away(run: Callable[..., Run]) -> None:
    away = run(clickhouse_buffer_bytes=SMALL_BUFFER)
    chunks = Workload(24, 1500).chunks(4)
    away.worker(instance="one")
    for chunk, fault in zip(
        chunks, (Fault.NONE, Fault.REFUSE, Fault.HANG, Fault.HALF), strict=True
    ):
        away.fault(fault)
        away.publish(chunk)
        time.sleep(0.7)  # killed while it retries
        away.living[0].kill()
        away.worker(instance="one")
    time.sleep(1)  # the last one meets the outage, too
    away.fault(Fault.NONE)
    away.wait_until_complete()
    away.stop_workers()
    away.check()


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG])
def test_sigterm_while_clickhouse_is_away(run: Callable[..., Run], fault: Fault) -> None:
    """It gives up within the deadline, having committed only what was stored."""
    away = run()
    chunks = Workload(25, 600).chunks(2)
    worker = away.command_worker()
    away.publish(chunks[0])
    away.wait_until_complete()
    away.fault(fault)
    away.publish(chunks[1])
    wait_until_read(away, worker)
    assert stop(worker) < GRACE_S
    away.fault(Fault.NONE)
    away.worker()
    away.wait_until_complete()
    away.stop_workers()
    away.check()


def test_away_when_the_worker_starts(run: Callable[..., Run]) -> None:
    away = run()
    away.fault(Fault.REFUSE)
    worker = away.worker()
    away.publish(Workload(26, 300).messages)
    wait_until_read(away, worker)
    # A first flush may have had nothing to store, of sides that all waited; no more than that.
    assert all(committed.offset == 0 for committed in away.committed().values())
    away.fault(Fault.NONE)
    away.wait_until_complete()
    away.stop_workers()
    away.check()


def test_the_server_is_killed(kafka_broker: Broker, own_clickhouse: ClickHouseServer) -> None:
    with Run(kafka_broker, own_clickhouse) as run:
        run.worker()
        for chunk in Workload(27, 900).chunks(3):
            run.publish(chunk)
            time.sleep(0.3)  # killed while it takes rows
            own_clickhouse.kill()
            time.sleep(0.5)  # long enough to be missed
            own_clickhouse.start()
        run.wait_until_complete()
        run.stop_workers()
        run.check()


@pytest.mark.slow
def test_memory_stays_bounded_while_clickhouse_is_away(run: Callable[..., Run]) -> None:
    away = run(clickhouse_buffer_bytes=1_000_000, pairing_batch_records=2000)
    worker = away.command_worker()
    load = Workload(28, 6000).chunks(4)
    away.publish(load[0])
    away.wait_until_complete()
    away.fault(Fault.REFUSE)
    away.publish(load[1])
    wait_until_logged(worker, "clickhouse.behind")
    before = worker.memory_bytes
    away.publish(load[2])
    away.publish(load[3])
    wait_until_read(away, worker)
    grown = worker.memory_bytes - before
    print(f"grown by {grown / 1e6:.1f} MB")
    assert grown < MEMORY_SLACK
    away.fault(Fault.NONE)
    away.wait_until_complete()
    stop(worker)
    away.check()
