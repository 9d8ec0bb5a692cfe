"""Records are deleted before they were read, or before they could be read again."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.harness import Run
from tests.faults.processes import Killable, wait_until
from tests.faults.workload import Workload
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.rebuild import GroupInUse, plan_rebuild, start_rebuild
from understudy.streams.settings import load_settings

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


Counts = dict[tuple[Any, ...], dict[str, int]]


def stored(run: Run) -> Counts:
    """What the newest rows count, by their keys."""
    rows = run.sql("SELECT *, toUnixTimestamp64Milli(window_start) AS start FROM windows FINAL")
    names = ("rollout_id", "mode", "language", "workflow", "start", "partition")
    return {
        tuple(row[name] for name in names): {
            name: int(value) for name, value in row.items() if name.startswith("events_") and value
        }
        for row in rows
    }


def wanted(run: Run, since_ms: int) -> Counts:
    """What the rows of windows since a time must count."""
    return {
        name: {key: count for key, count in counts.items() if key.startswith("events_")}
        for name, counts in run.truth().windows.items()
        if name[4] >= since_ms
    }


@pytest.mark.parametrize("how", ["the group is reset", "a new group"])
def test_windows_that_lack_records_are_not_overwritten(run: Callable[..., Run], how: str) -> None:
    """Rows stay as they are; what comes later is counted as ever, also after a kill."""
    shortened = run(pairing_max_clock_skew_s=1)
    first = shortened.worker()
    shortened.publish(Workload(44, 400).chunks(1)[0])
    shortened.wait_until_complete()
    shortened.stop_workers()
    before = stored(shortened)
    published_s = time.time()
    shortened.delete_before({n: end // 2 for n, end in shortened.ends().items()})
    if how == "a new group":
        shortened.group += "-again"
    else:
        shortened.reset_to_earliest()
    second = shortened.worker()
    wait_until(
        lambda: second.log.count('"windows.incomplete"') == shortened.partitions,
        "the worker says which windows it leaves out",
        worker=second,
    )
    second.kill()
    third = shortened.worker()
    # windows are whole again 1 s of skew, 3 s each of the join, of answers and of turns that are
    # held against each other, and a window after the first record
    wait_until(lambda: time.time() > published_s + 15, "windows begin that are whole")
    since_ms = int(time.time() * 1000) - 4000
    start = dt.datetime.fromtimestamp(since_ms / 1000, dt.UTC)
    shortened.publish(Workload(45, 60, start=start).chunks(1)[0])
    shortened.wait_until_complete()
    shortened.stop_workers()
    after = stored(shortened)
    assert before.items() <= after.items()
    whole = wanted(shortened, since_ms - since_ms % shortened.rules.window_ms)
    assert whole
    assert {name: counts for name, counts in after.items() if name not in before} == whole
    assert lost(first) == lost(second) == lost(third) == Counter()


def test_a_rebuild_overwrites_what_is_left_only_when_that_is_wanted(
    run: Callable[..., Run],
) -> None:
    shortened = run()
    settings = load_settings(None, shortened.environment())
    policy = PairingPolicy.from_settings(settings)

    def rebuild(*, incomplete: bool) -> None:
        plan = plan_rebuild(settings.kafka, "events", policy)
        assert [one.first for one in plan] == [end // 2 for end in shortened.ends().values()]
        assert all(one.written_from_ms for one in plan)
        start_rebuild(settings.kafka, "events", plan, incomplete=incomplete)
        shortened.worker()
        shortened.wait_until_complete()

    shortened.worker()
    shortened.publish(Workload(46, 300).chunks(1)[0])
    shortened.wait_until_complete()
    with pytest.raises(GroupInUse):
        start_rebuild(settings.kafka, "events", [], incomplete=False)
    shortened.stop_workers()
    before = stored(shortened)
    shortened.delete_before({n: end // 2 for n, end in shortened.ends().items()})
    rebuild(incomplete=False)
    shortened.stop_workers()
    assert stored(shortened) == before
    rebuild(incomplete=True)
    shortened.stop_workers()
    after = stored(shortened)
    assert before.keys() <= after.keys()
    assert sum(sum(counts.values()) for counts in after.values()) < sum(
        sum(counts.values()) for counts in before.values()
    )
