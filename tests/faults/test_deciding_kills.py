"""Deciding workers that die, hang, come and go: the same decisions, the same table, to the byte."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.deciding import SHORT_SESSION_S, DecidingRun
from tests.faults.processes import Killable, Worker, stop, wait_until
from understudy.schemas.decisions import decode_decision
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.snapshots import decision_in

pytestmark = [pytest.mark.faults, pytest.mark.integration]

KILLS = int(os.environ.get("UNDERSTUDY_TEST_KILLS", "6"))
SEED = int(os.environ.get("UNDERSTUDY_TEST_SEED", "1"))
AT_WORK = '"deciding.recovered"'
BATCH = 160
"""Messages: more than a worker applies between two checkpoints."""


def wait_at_work(worker: Killable) -> None:
    """Wait until it has partitions and their table."""
    wait_until(lambda: AT_WORK in worker.log, "the worker is at work", worker=worker)


def finish(run: DecidingRun) -> None:
    """Let all be decided, stop, and compare."""
    run.wait_until_decided()
    run.stop_workers()
    print(f"{run.check_decisions()} decisions, emitted {len(run.decisions())} times")


def test_killed_alone_at_random_instants(deciding: Callable[..., DecidingRun]) -> None:
    """Each comes back as the same member of the group; some die before they have begun."""
    rng = Random(SEED)
    run = deciding()
    messages = run.windows(SEED, count=6 * KILLS)
    worker = run.deciding_worker("one")
    run.apply()
    for number in range(KILLS):
        share = len(messages) // (KILLS - number)
        run.send(messages[:share])
        messages = messages[share:]
        time.sleep(2.0 * rng.random())
        worker.kill()
        worker = run.deciding_worker("one")
        if rng.random() < 0.7:
            wait_at_work(worker)
    run.send(messages)
    finish(run)


def test_killed_among_others(deciding: Callable[..., DecidingRun]) -> None:
    """Two workers take over from one another, when the session of the dead has run out."""
    rng = Random(SEED)
    run = deciding(session_s=SHORT_SESSION_S)
    run.deciding_worker()
    run.deciding_worker()
    messages = run.windows(SEED + 1, count=6 * KILLS)
    run.apply()
    for number in range(KILLS):
        share = len(messages) // (KILLS - number)
        run.send(messages[:share])
        messages = messages[share:]
        time.sleep(2.0 * rng.random())
        rng.choice(run.living).kill()
        run.deciding_worker()
    finish(run)


def test_workers_are_added_and_removed(deciding: Callable[..., DecidingRun]) -> None:
    """A worker saves what it has applied before it lets go of its partitions."""
    rng = Random(SEED)
    run = deciding()
    wait_at_work(run.deciding_worker())
    run.apply()
    messages = run.windows(SEED + 2, count=40)
    for start in range(0, len(messages), 60):
        run.send(messages[start : start + 60])
        if len(run.living) < 2 or (len(run.living) < 3 and rng.random() < 0.6):
            run.deciding_worker()
        else:
            stop(rng.choice(run.living))
        time.sleep(rng.random())
    finish(run)


def test_a_policy_written_after_a_kill_takes_no_rollback_back(
    deciding: Callable[..., DecidingRun],
) -> None:
    """Checkpoints lie an hour apart, but what was decided is saved, and outlives the policy."""
    run = deciding(checkpoint_interval_s=3600.0)
    worker = run.deciding_worker("one")
    run.apply()
    run.send(run.windows(SEED + 6, count=40))

    def rolled_back() -> set[bytes]:
        last = {key: decode_decision(value) for key, value in run.decisions() if value}
        return {key for key, decision in last.items() if decision.verdict == "rollback"}

    def are_saved() -> bool:
        table, names = run.table(), rolled_back()
        return bool(names) and all(decision_in(table, key).is_latched for key in names)

    wait_until(are_saved, "rollbacks are emitted and saved", worker=worker)
    names = rolled_back()
    worker.kill()
    run.write_records("5pp")
    before = len(run.decisions())
    worker = run.deciding_worker("one")

    def are_answered() -> bool:
        return names <= {key for key, _ in run.decisions()[before:]}

    wait_until(are_answered, "the changed policies are answered", worker=worker)
    assert names <= rolled_back()
    run.stop_workers()


def hang_with_unsaved(run: DecidingRun, worker: Worker, messages: list[WindowsMessage]) -> None:
    """Send messages until the worker hangs with some that it has applied and not saved.

    It saves once a second, so on a busy machine it may have saved everything when it is paused.
    """
    emitted = 0

    def has_emitted() -> bool:
        return len(run.decisions()) > emitted

    def has_saved() -> bool:
        return run.snapshots() == run.undisturbed()[1]

    for start in range(0, len(messages), BATCH):
        emitted = len(run.decisions())
        run.send(messages[start : start + BATCH])
        wait_until(lambda: has_emitted() or has_saved(), "it applies the batch", worker=worker)
        worker.pause()
        if has_emitted() and not has_saved():
            return
        worker.go_on()
    raise AssertionError("it had saved everything each time: no difference would show")


def test_a_worker_that_hangs_beyond_its_session_sends_nothing_when_it_wakes(
    deciding: Callable[..., DecidingRun],
) -> None:
    """It holds windows that it has applied and not saved, and some that it has not applied."""
    run = deciding(session_s=SHORT_SESSION_S)
    hung = run.deciding_worker()
    run.apply()
    messages = run.windows(SEED + 3, count=60)
    hang_with_unsaved(run, hung, messages[:-20])
    run.deciding_worker()
    run.wait_until_decided()
    run.check_decisions()
    before = run.read(run.topics.decisions.name), run.read(run.changelog)
    hung.go_on()
    wait_until(lambda: hung.exit_code is not None, "it ends", worker=hung)
    assert '"deciding.fenced"' in hung.log, hung.log
    assert (run.read(run.topics.decisions.name), run.read(run.changelog)) == before
    run.workers.remove(hung)
    run.send(messages[-20:])
    finish(run)


def test_a_worker_that_hangs_with_everything_saved_joins_again(
    deciding: Callable[..., DecidingRun],
) -> None:
    run = deciding(session_s=SHORT_SESSION_S)
    hung = run.deciding_worker()
    run.apply()
    hung.pause()
    run.deciding_worker()
    messages = run.windows(SEED + 4, count=10)
    run.send(messages[:-20])
    run.wait_until_decided()
    hung.go_on()
    joined = hung.log.count(AT_WORK)
    wait_until(lambda: hung.log.count(AT_WORK) > joined, "it is back", worker=hung)
    stop(run.living[-1])
    run.send(messages[-20:])
    finish(run)


def test_the_broker_is_killed_and_comes_back(
    own_broker: Broker, clickhouse: ClickHouseServer
) -> None:
    """Longer than the session: nobody can have taken over, so both go on."""
    with DecidingRun(own_broker, clickhouse, SHORT_SESSION_S) as run:
        workers: list[Worker] = [run.deciding_worker(), run.deciding_worker()]
        run.apply()
        messages = run.windows(SEED + 5, count=30)
        run.send(messages[:200])
        time.sleep(0.3)
        own_broker.kill()
        time.sleep(SHORT_SESSION_S + 1.0)
        own_broker.restart()
        run.send(messages[200:])
        run.wait_until_decided()
        assert [worker.exit_code for worker in workers] == [None, None]
        run.stop_workers()
        run.check_decisions()
