"""A rolling restart under load, shared by the test (nothing is lost) and its benchmark (pauses)."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.harness import Run
from tests.faults.processes import Worker, wait_until_logged
from tests.faults.workload import Workload


def restart_both_workers(run: Run) -> list[Worker]:
    """Replace two workers one after the other while events come in; the workers that ended."""
    ended = [run.worker(), run.worker()]
    for worker in ended:
        wait_until_logged(worker, "partitions.assigned")
    load = SteadyLoad(run, seed=12, requests=3000)
    for worker in ended:
        load.publish_for(1.0)
        worker.terminate()
        load.publish_until(lambda: worker.exit_code is not None)  # noqa: B023
        run.worker()
        load.publish_for(1.0)
    load.publish_for(1.0)
    run.wait_until_complete()
    run.stop_workers()
    return ended


class SteadyLoad:
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
