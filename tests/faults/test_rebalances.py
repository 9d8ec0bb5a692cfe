"""Workers come and go; every partition goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest

from tests.faults.harness import Run
from tests.faults.processes import stop
from tests.faults.rolling_restart import restart_both_workers
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]

PROTOCOLS = ("classic", "consumer")


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
def test_a_rolling_restart_loses_nothing(run: Callable[..., Run], protocol: str) -> None:
    """How long it pauses a partition is a figure: see `benchmarks/rolling_restart.py`."""
    rolling = run(protocol=protocol)
    for worker in restart_both_workers(rolling):
        assert worker.exit_code == 0, worker.log
    rolling.check()
