"""Deciding workers that die, hang, come and go: the same decisions, the same table, to the byte."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.deciding import DECIDED_S, SESSION_S, DecidingRun
from tests.faults.processes import Killable, Worker, stop, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.integration]

KILLS = int(os.environ.get("UNDERSTUDY_TEST_KILLS", "6"))
SEED = int(os.environ.get("UNDERSTUDY_TEST_SEED", "1"))
AT_WORK = '"deciding.recovered"'


def wait_at_work(worker: Killable) -> None:
    """Wait until it has partitions and their table."""
    wait_until(lambda: AT_WORK in worker.log, "the worker is at work", 30, worker)


def finish(run: DecidingRun) -> None:
    """Let all be decided, stop, and compare."""
    run.wait_until_decided()
    run.stop_workers()
    print(f"{run.check_decisions()} decisions, told {len(run.decisions())} times")


def test_killed_alone_at_random_instants(deciding: Callable[..., DecidingRun]) -> None:
    """Each comes back as the same member of the group; some die before they have begun."""
    rng = Random(SEED)
    run = deciding()
    messages = run.windows(SEED, count=6 * KILLS)
    worker = run.deciding_worker("one")
    run.apply()
    for number in range(KILLS):
        share = len(messages) // (KILLS - number)
        run.tell(messages[:share])
        messages = messages[share:]
        time.sleep(2.0 * rng.random())
        worker.kill()
        worker = run.deciding_worker("one")
        if rng.random() < 0.7:
            wait_at_work(worker)
    run.tell(messages)
    finish(run)


def test_killed_among_others(deciding: Callable[..., DecidingRun]) -> None:
    """Two workers take over from one another, when the session of the dead has run out."""
    rng = Random(SEED)
    run = deciding()
    run.deciding_worker()
    run.deciding_worker()
    messages = run.windows(SEED + 1, count=6 * KILLS)
    run.apply()
    for number in range(KILLS):
        share = len(messages) // (KILLS - number)
        run.tell(messages[:share])
        messages = messages[share:]
        time.sleep(2.0 * rng.random())
        rng.choice(run.living).kill()
        run.deciding_worker()
    finish(run)


def test_workers_are_added_and_removed(deciding: Callable[..., DecidingRun]) -> None:
    """What a worker has judged it saves before it lets go of its partitions."""
    rng = Random(SEED)
    run = deciding()
    wait_at_work(run.deciding_worker())
    run.apply()
    messages = run.windows(SEED + 2, count=40)
    for start in range(0, len(messages), 60):
        run.tell(messages[start : start + 60])
        if len(run.living) < 2 or (len(run.living) < 3 and rng.random() < 0.6):
            run.deciding_worker()
        else:
            stop(rng.choice(run.living))
        time.sleep(rng.random())
    finish(run)


def test_who_hangs_beyond_its_session_says_nothing_when_it_wakes(
    deciding: Callable[..., DecidingRun],
) -> None:
    """It holds windows that it has judged and not saved, and some that it has not judged."""
    run = deciding()
    hung = run.deciding_worker()
    run.apply()
    messages = run.windows(SEED + 3, count=30)
    run.tell(messages[:-20])
    told = len(run.decisions())
    wait_until(lambda: len(run.decisions()) > told, "it decides", 30, hung)
    hung.pause()
    assert run.table() != run.truth()[1], "it had saved everything: nothing to tell apart"
    run.deciding_worker()
    run.wait_until_decided()
    run.check_decisions()
    before = run.read(run.topics.decisions.name), run.read(run.changelog)
    hung.go_on()
    wait_until(lambda: hung.exit_code is not None, "it ends", 30, hung)
    assert '"deciding.fenced"' in hung.log, hung.log
    assert (run.read(run.topics.decisions.name), run.read(run.changelog)) == before
    run.workers.remove(hung)
    run.tell(messages[-20:])
    finish(run)


def test_who_hangs_with_nothing_in_hand_joins_again(deciding: Callable[..., DecidingRun]) -> None:
    run = deciding()
    hung = run.deciding_worker()
    run.apply()
    hung.pause()
    run.deciding_worker()
    messages = run.windows(SEED + 4, count=10)
    run.tell(messages[:-20])
    run.wait_until_decided()
    hung.go_on()
    joined = hung.log.count(AT_WORK)
    wait_until(lambda: hung.log.count(AT_WORK) > joined, "it is back", 30, hung)
    stop(run.living[-1])
    run.tell(messages[-20:])
    finish(run)


def test_the_broker_is_killed_and_comes_back(
    own_broker: Broker, clickhouse: ClickHouseServer
) -> None:
    """Longer than the session: nobody can have taken over, so both go on."""
    with DecidingRun(own_broker, clickhouse) as run:
        workers: list[Worker] = [run.deciding_worker(), run.deciding_worker()]
        run.apply()
        messages = run.windows(SEED + 5, count=30)
        run.tell(messages[:200])
        time.sleep(0.3)
        own_broker.kill()
        time.sleep(SESSION_S + 1.0)
        own_broker.restart()
        run.tell(messages[200:])
        run.wait_until_decided(within_s=DECIDED_S)
        assert [worker.exit_code for worker in workers] == [None, None]
        run.stop_workers()
        run.check_decisions()
