"""Records are deleted before they were read, or before they could be read again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.harness import Run
from tests.faults.processes import Killable, wait_until
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]


def lost(worker: Killable) -> Counter[int]:
    """What a worker says has been lost, by partition."""
    said: Counter[int] = Counter()
    for line in worker.log.splitlines():
        if '"events.lost"' in line:
            event = json.loads(line)
            said[event["partition"]] += event["records"]
    return said


def counted(run: Run) -> Counter[int]:
    """Events in the newest rows, by partition."""
    found: Counter[int] = Counter()
    for row in run.sql("SELECT * FROM windows FINAL"):
        found[row["partition"]] += sum(v for k, v in row.items() if k.startswith("events_"))
    return found


def account(run: Run, workers: list[Killable]) -> dict[int, tuple[int, int]]:
    """Events of each partition: published, and counted or lost or waiting."""
    committed, found = run.committed(), counted(run)
    missing: Counter[int] = Counter()
    for worker in workers:
        missing += lost(worker)
    return {
        n: (end, found[n] + missing[n] + committed[n].waiting_sides)
        for n, end in run.ends().items()
    }


def closed(run: Run) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = run.sql("SELECT * FROM windows FINAL WHERE closed")
    names = ("rollout_id", "mode", "language", "workflow", "window_start", "partition")
    return {tuple(row[name] for name in names): row for row in rows}


@pytest.mark.parametrize("unread", [0, 60])
def test_the_committed_offset_is_gone(run: Callable[..., Run], unread: int) -> None:
    """It goes on at the earliest record or where all had been stored, and says what is lost."""
    short = run()
    first = short.worker()
    chunks = Workload(41, 1500).chunks(2)
    short.publish(chunks[0])
    short.wait_until_complete()
    short.stop_workers()
    assert lost(first) == Counter()
    before, positions = closed(short), short.committed()
    short.publish(chunks[1])
    ends = short.ends()
    deleted = {n: min(c.position + unread, ends[n]) for n, c in positions.items()}
    short.delete_before(deleted)
    second = short.worker()
    short.wait_until_complete()
    short.stop_workers()
    waited = {n: c.waiting_sides for n, c in positions.items()}
    assert lost(second) == Counter(
        {n: waited[n] + deleted[n] - c.position for n, c in positions.items()}
    )
    for published, known in account(short, [first, second]).values():
        assert published == known
    after = closed(short)
    assert before.items() <= after.items()


def test_deleted_before_they_were_read(run: Callable[..., Run]) -> None:
    """While a worker is behind: the gap is counted, the rest of its state goes on."""
    # The pause must not end its membership, however slow the machine is.
    behind = run(partitions=1, kafka_client_session_timeout_ms=60_000)
    worker = behind.worker()
    chunks = Workload(42, 1200).chunks(3)
    behind.publish(chunks[0])
    behind.wait_until_complete()
    position = behind.committed()[0].position
    worker.pause()
    rest = chunks[1] + chunks[2]
    for start in range(0, len(rest), 20):
        behind.publish(rest[start : start + 20])
    gone_to = behind.ends()[0] - 100
    behind.delete_before({0: gone_to})
    worker.go_on()
    behind.wait_until_complete()
    behind.stop_workers()
    assert 0 < lost(worker)[0] <= gone_to - position
    for published, known in account(behind, [worker]).values():
        assert published == known


def test_deleted_while_it_hangs_for_longer(run: Callable[..., Run]) -> None:
    """As before, with the partition lost to the group meanwhile."""
    behind = run(partitions=1)
    worker = behind.worker()
    chunks = Workload(43, 900).chunks(2)
    behind.publish(chunks[0])
    behind.wait_until_complete()
    committed = behind.committed()[0]
    worker.pause()
    behind.publish(chunks[1])
    behind.delete_before({0: committed.position + 50})
    wait_until(lambda: behind.members() == 0, "the group has given its member up")
    worker.go_on()
    wait_until(lambda: lost(worker)[0] > 0, "the worker logs the loss", worker=worker)
    behind.wait_until_complete()
    behind.stop_workers()
    assert committed.position + 50 <= behind.ends()[0]
