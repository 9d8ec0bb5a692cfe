"""Captured pairs are the same whatever happened: kills, outages of ClickHouse, rewinds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import clickhouse_connect
import pytest

from tests.faults.clickhouse_server import Fault
from tests.faults.harness import Run
from tests.faults.processes import wait_until_logged
from tests.faults.test_clickhouse import SMALL_BUFFER, wait_until_read
from tests.faults.workload import ROLLOUTS, Workload
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record

pytestmark = [pytest.mark.faults, pytest.mark.integration]


def capture_all(run: Run) -> None:
    """Put policies in force that capture the worst pairs, from the beginning."""
    for name in ROLLOUTS:
        text = f"rollout_id: {name}\nmodels: {{stable: a, candidate: b}}\ncapture: worst\n"
        record = encode_rollout_record(RolloutRecord(manifest=read_manifest(text)))
        run.write(run.topics.rollouts.name, name.encode(), record)
    run.flush()


def captured(run: Run) -> list[dict[str, Any]]:
    order = "rollout_id, mode, language, workflow, kind, window_start, partition, rank"
    return run.sql(f"SELECT * FROM captured_pairs FINAL ORDER BY {order}")


def captured_undisturbed(run: Run) -> list[dict[str, Any]]:
    """What one worker captures that reads all again, into an empty table."""
    client = clickhouse_connect.get_client(dsn=run.clickhouse.url(run.name))
    client.command("TRUNCATE TABLE captured_pairs")
    client.close()
    run.reset_to_earliest()
    run.worker()
    run.wait_until_complete()
    run.stop_workers()
    return captured(run)


def test_kills_show_in_no_captured_pair(run: Callable[..., Run]) -> None:
    killed = run()
    capture_all(killed)
    for chunk in Workload(31, 900).chunks(4):
        worker = killed.worker(instance="one")
        killed.publish(chunk)
        time.sleep(0.7)  # killed while it reads, or has read and not committed
        worker.kill()
    killed.worker(instance="one")
    killed.wait_until_complete()
    killed.stop_workers()
    rows = captured(killed)
    assert len(rows) > 20
    assert captured_undisturbed(killed) == rows


def test_rewinds_show_in_no_captured_pair(run: Callable[..., Run]) -> None:
    """ClickHouse is away for longer than the buffer: results are left out, and read again."""
    away = run(clickhouse_buffer_bytes=SMALL_BUFFER)
    capture_all(away)
    worker = away.worker()
    chunks = Workload(32, 900).chunks(3)
    away.publish(chunks[0])
    away.wait_until_complete()
    away.fault(Fault.HALF)
    away.publish(chunks[1])
    wait_until_logged(worker, "clickhouse.behind")
    away.publish(chunks[2])
    wait_until_read(away, worker)
    away.fault(Fault.NONE)
    away.wait_until_complete()
    assert "clickhouse.back" in worker.log
    away.stop_workers()
    rows = captured(away)
    assert len(rows) > 20
    assert captured_undisturbed(away) == rows
