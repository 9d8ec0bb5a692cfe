"""Workers come and go; every partition goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from tests.faults.harness import Run
from tests.faults.processes import stop, wait_until_logged
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]

PROTOCOLS = ("classic", "consumer")
PAUSE_S = 6.0
"""On a busy machine; `docs/reliability.md` says what it takes on a calm one."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_workers_are_added_and_removed(run: Callable[..., Run], protocol: str) -> None:
    changing = run(protocol=protocol)
    rng = Random(11)
    changing.worker()
    for chunk in Workload(11, 1800).chunks(8):
        changing.publish(chunk)
        if len(changing.living) < 2 or (len(changing.living) < 4 and rng.random() < 0.6):
            changing.worker()
        else:
            stop(rng.choice(changing.living))
        time.sleep(rng.random() * 0.5)
    changing.wait_until_complete()
    changing.stop_workers()
    changing.check()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_rolling_restart_pauses_each_partition_for_moments(
    run: Callable[..., Run], protocol: str
) -> None:
    rolling = run(protocol=protocol)
    first, second = rolling.worker(), rolling.worker()
    for worker in (first, second):
        wait_until_logged(worker, "partitions.assigned")
    load = Load(rolling, seed=12, requests=3000)
    for worker in (first, second):
        load.publish_for(1.0)
        worker.terminate()
        load.publish_until(lambda: worker.exit_code is not None)  # noqa: B023
        assert worker.exit_code == 0, worker.log
        rolling.worker()
        load.publish_for(1.0)
    load.publish_for(1.0)
    rolling.wait_until_complete()
    rolling.stop_workers()
    rolling.check()
    pauses = longest_pauses(rolling)
    print(f"longest pause of each partition, s: {pauses}")
    assert max(pauses.values()) < PAUSE_S


class Load:
    """A steady trickle of events."""

    def __init__(self, run: Run, seed: int, requests: int) -> None:
        self._run = run
        self._messages = iter(Workload(seed, requests).messages)

    def publish_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.publish_until(lambda: time.monotonic() > until)

    def publish_until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._run.publish(
                message for _, message in zip(range(20), self._messages, strict=False)
            )
            time.sleep(0.05)


def longest_pauses(run: Run) -> dict[int, float]:
    """The longest time between two messages of window rows about each partition, in seconds."""
    stamps: dict[int, list[int]] = {}
    for records in run.read(run.topics.windows.name).values():
        for record in records:
            partition = int((record.value or b"").split(b'"partition":', 1)[1].split(b",", 1)[0])
            stamps.setdefault(partition, []).append(record.timestamp_ms)
    return {
        number: max(b - a for a, b in pairwise(seen)) / 1000
        for number, seen in sorted(stamps.items())
    }
