"""Workers that die or are stopped: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from tests.faults.harness import RULES, Run
from tests.faults.processes import GRACE_S, partitions_of, stop, wait_until, wait_until_logged
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]

PROTOCOLS = ("classic", "consumer")
KILLS = int(os.environ.get("UNDERSTUDY_TEST_KILLS", "20"))
BATCH_MS = 2500
"""Commits lie where batches began; ten records span about a second."""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_undisturbed(run: Callable[..., Run], protocol: str) -> None:
    calm = run(protocol=protocol)
    calm.worker()
    calm.publish(Workload(1, 600).messages)
    calm.wait_until_complete()
    calm.stop_workers()
    truth = calm.check()
    told = calm.summary(truth)
    assert all(kind in told for kind in ("late", "duplicate", "unmatched_control", "single"))


def kill_at_random_instants(run: Run, seed: int, kills: int) -> None:
    """Kill one worker after another while the log is read, each as if it were the same one.

    Every other one gets so far that the next starts in the middle of the log.
    """
    rng = Random(seed)
    chunks = iter(Workload(seed, 80 * kills).chunks(2 * kills))
    for number in range(kills):
        worker = run.worker(instance="one")
        run.publish(next(chunks))
        wait_until_logged(worker, "partitions.assigned")
        if number % 2:
            run.wait_until_complete()
        run.publish(next(chunks))
        time.sleep(rng.random() * 0.4)  # killed anywhere in reading and storing a chunk
        worker.kill()
    assert all(committed.offset > 0 for committed in run.committed().values())
    run.worker(instance="one")
    run.wait_until_complete()
    run.stop_workers()


def test_rows_after_kills_are_those_of_an_undisturbed_worker(run: Callable[..., Run]) -> None:
    disturbed = run(pairing_batch_records=10)
    kill_at_random_instants(disturbed, seed=2, kills=KILLS)
    disturbed.check()
    assert disturbed.final_rows() == calm_rows(disturbed)


def calm_rows(run: Run) -> dict[str, str]:
    """What an undisturbed worker of another group writes for the same log."""
    before = len(run.window_rows())
    run.group = f"{run.name}-calm"
    run.worker()
    run.wait_until_complete()
    run.stop_workers()
    return run.final_rows(run.window_rows()[before:])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_killed_among_others(run: Callable[..., Run], protocol: str) -> None:
    """The partitions of a killed worker go to another, without a word from the dead."""
    shared = run(protocol=protocol)
    rng = Random(3)
    shared.worker()
    shared.worker()
    for chunk in Workload(3, 1500).chunks(5):
        shared.publish(chunk)
        time.sleep(rng.random() * 0.5)  # killed anywhere in reading and storing a chunk
        shared.living[0].kill()
        shared.worker()
    shared.wait_until_complete()
    shared.stop_workers()
    shared.check()


def test_sigterm_flushes_commits_and_leaves(run: Callable[..., Run]) -> None:
    stopped = run()
    chunks = Workload(4, 1200).chunks(4)
    for chunk, number in zip(chunks, count(), strict=False):
        worker = stopped.command_worker()
        wait_until_logged(worker, "partitions.assigned")
        stopped.publish(chunk)
        time.sleep(0.2 * number)  # each is stopped further into its chunk
        assert stop(worker) < GRACE_S
        assert "worker.stopped" in worker.log
        positions = {n: c.position for n, c in stopped.committed().items()}
        assert positions, "nothing was committed"
    stopped.worker()
    stopped.wait_until_complete()
    stopped.stop_workers()
    stopped.check()


def test_recovery_reads_no_more_than_the_horizon(run: Callable[..., Run]) -> None:
    killed = run(pairing_batch_records=10)
    worker = killed.worker(instance="one")
    killed.publish(Workload(5, 2000).messages)
    killed.wait_until_complete()
    worker.kill()
    for committed in killed.committed().values():
        assert committed.watermark_ms is not None
        assert committed.closed_until_ms is not None
        span_ms = committed.watermark_ms - committed.closed_until_ms
        assert RULES.horizon_ms <= span_ms <= RULES.horizon_ms + BATCH_MS
    again = {n: c.position - c.offset for n, c in killed.committed().items()}
    killed.publish(Workload(6, 10).messages)
    started = time.monotonic()
    killed.worker(instance="one")
    killed.wait_until_complete()
    print(f"read again {again}, recovered in {time.monotonic() - started:.1f} s")
    killed.stop_workers()
    killed.check()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_worker_that_hangs_loses_its_partitions(run: Callable[..., Run], protocol: str) -> None:
    """What it still writes when it wakes is what the others write, or older."""
    hung = run(protocol=protocol)
    first = hung.worker()
    chunks = Workload(7, 900).chunks(3)
    hung.publish(chunks[0])
    wait_until_logged(first, "partitions.assigned")
    first.pause()
    second = hung.worker()
    hung.publish(chunks[1])
    everything = set(range(hung.partitions))
    wait_until(lambda: partitions_of(second) == everything, "all are the second's", worker=second)
    first.go_on()
    hung.publish(chunks[2])
    hung.wait_until_complete()
    hung.stop_workers()
    hung.check()
