"""One group, two workers: the second joins under way, the first is told to stop.

Each worker has a chDB folder of its own, so what counts is read from the topic of windows, where
the highest version of a row wins.
"""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.brokers.contract import Broker
from tests.integration.oracle import Report, differences
from tests.integration.path import account_of, running
from tests.integration.processes import COMMAND, clean_environment, flushed_positions, settings
from tests.integration.test_real_outputs import simulated_lines
from tests.integration.topic_log import ends_of, read_topic
from understudy.analyzers.compare.language import detect_language
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.topics import Topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.replay.report import report

pytestmark = pytest.mark.integration

PAIRS = 2000
PARTITIONS = 4
QUICK_REBALANCES = {
    "UNDERSTUDY_KAFKA_CLIENT_HEARTBEAT_INTERVAL_MS": "200",
    "UNDERSTUDY_KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000",
}


def test_a_worker_takes_over_from_another(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    names = topics(event_partitions=PARTITIONS)
    environment = settings(kafka_broker, names, **QUICK_REBALANCES)
    group_id = environment["UNDERSTUDY_KAFKA_GROUP_ID"]
    lines = simulated_lines(PAIRS)
    third = len(lines) // 3
    before, between, after = lines[:third], lines[third : 2 * third], lines[2 * third :]
    with running(tmp_path, environment, "first") as first:
        publish(before, tmp_path, environment)
        first.wait_until(
            lambda: any(flushed_positions(kafka_broker, names.events, group_id)), "a first commit"
        )
        with running(tmp_path, environment, "second") as second:
            publishing = threading.Thread(target=publish, args=(between, tmp_path, environment))
            publishing.start()
            second.wait_for_log('"partitions.assigned"')
            assert first.terminate() == 0, first.log
            publishing.join()
            publish(after, tmp_path, environment)
            ends = ends_of(kafka_broker, names.events.name)
            second.wait_until(
                lambda: flushed_positions(kafka_broker, names.events, group_id) == ends, f"{ends}"
            )
            assert second.terminate() == 0, second.log
    accounts = [account_of(records) for records in read_topic(kafka_broker, names.events.name)]
    account = sum(accounts[1:], start=accounts[0])
    messages = [
        msgspec.json.decode(record.value, type=WindowsMessage)
        for log in read_topic(kafka_broker, names.windows.name)
        for record in log
    ]
    rows = latest(row for message in messages for row in message.rows)
    oracle = Report(detect_language)
    assert differences(oracle.document(account), report(rows, sum(ends))) == []
    for number, one in enumerate(accounts):
        counted = msgspec.to_builtins(total(r for r in rows if r.partition == number).events)
        assert sum(counted.values()) + len(one.pending) == one.read
    sql = "SELECT pair_id FROM comparisons FINAL"
    stored = [{row["pair_id"] for row in worker.rows(sql)} for worker in (first, second)]
    assert stored[0]
    assert stored[1]
    requests = account.pairs + account.singles
    assert stored[0] | stored[1] == {
        side["pair_id"] for request in requests for side in request.sides.values()
    }


def publish(lines: list[bytes], folder: Path, environment: dict[str, str]) -> None:
    """Write lines to Kafka and wait for the end."""
    file = folder / f"{uuid.uuid4()}.ndjson"
    file.write_bytes(b"\n".join(lines) + b"\n")
    subprocess.run(
        [*COMMAND, "publish", "--as-recorded", "--include-late", str(file)],
        cwd=folder,
        env=clean_environment(environment),
        check=True,
        capture_output=True,
    )
