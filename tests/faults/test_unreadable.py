"""A batch that unpacks to more than a client accepts does not stop a partition."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.brokers.bomb import bomb
from tests.faults.harness import Run
from tests.faults.processes import Killable
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]


def reported(worker: Killable) -> list[tuple[int, int, int]]:
    """Partition, first and last offset of what the worker says it could not read."""
    said = [json.loads(line) for line in worker.log.splitlines() if '"events.unreadable"' in line]
    return [(one["partition"], one["offset"], one["last_offset"]) for one in said]


def test_what_cannot_be_unpacked_is_stepped_over_and_counted(run: Callable[..., Run]) -> None:
    """Also where it lies at the start of a log, at the end, or twice in a row, and after a kill."""
    poisoned = run()
    broker, topic = poisoned.broker.bootstrap_servers, poisoned.topics.events.name
    chunks = Workload(51, 600).chunks(2)
    bombs = [(2, bomb(broker, topic, 2, 7))]
    poisoned.publish(chunks[0])
    bombs += [(0, bomb(broker, topic, 0)), (0, bomb(broker, topic, 0, 9))]
    first = poisoned.worker()
    poisoned.wait_until_complete()
    first.kill()
    poisoned.publish(chunks[1])
    bombs += [(1, bomb(broker, topic, 1))]
    second = poisoned.worker()
    poisoned.wait_until_complete()
    poisoned.stop_workers()
    wanted = {(number, offsets[0], offsets[-1]) for number, offsets in bombs}
    assert wanted == {*reported(first), *reported(second)}
    poisoned.check([(number, offset) for number, offsets in bombs for offset in offsets[1:]])
    letters = [h for _, h in poisoned.headers(poisoned.topics.dead_letters.name)
               if h["reason"] == "unreadable"]  # fmt: skip
    assert {(int(h["partition"]), int(h["offset"])) for h in letters} == {
        (number, offsets[0]) for number, offsets in bombs
    }
