"""Backtests from a page: one at a time, bounded, and their failures in words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import wait

import pytest

from tests.streams.demo.decisions import decision
from tests.streams.http.views import policy
from understudy.schemas.rollouts import Rollout, compile_manifest
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.dashboard.backtest_page import StoredTrial
from understudy.streams.errors import CommandError
from understudy.streams.http import backtests
from understudy.streams.http.backtests import MAX_KEPT, Backtest, Backtests, Judge
from understudy.streams.http.problems import Problem

POLICY = compile_manifest(policy(rollout_id="a"))
DONE = StoredTrial([], decision("hold"), 1, 0)
WAIT_S = 20.0


def judging(judge: Judge, use: Callable[[Backtests], None]) -> None:
    """Use backtests on a loop, as the application does."""

    async def used() -> None:
        made = Backtests(judge)
        try:
            await asyncio.to_thread(lambda: None)
            use(made)
        finally:
            made.close()

    asyncio.run(used())


def finished(made: Backtests, name: str) -> Backtest:
    found = made.find("a", name)
    wait([found.result], WAIT_S)
    return found


def start(made: Backtests) -> str:
    return made.start(POLICY, "text", 24, 0, 1)


def test_a_result_is_found_by_its_id_and_its_rollout() -> None:
    def use(made: Backtests) -> None:
        name = start(made)
        assert finished(made, name).result.result() is DONE
        assert (made.find("a", name).text, made.find("a", name).problem) == ("text", "")
        for rollout_id, other in (("b", name), ("a", "unknown")):
            with pytest.raises(Problem, match="start it again"):
                made.find(rollout_id, other)

    judging(lambda *_: DONE, use)


def test_none_waits_for_another() -> None:
    go_on = threading.Event()

    def judge(_: Rollout, __: int, ___: int, stop: threading.Event) -> StoredTrial:
        assert go_on.wait(WAIT_S)
        return DONE

    def use(made: Backtests) -> None:
        name = start(made)
        assert made.find("a", name).problem == ""
        with pytest.raises(Problem, match="another backtest is running"):
            start(made)
        go_on.set()
        finished(made, name)
        start(made)

    judging(judge, use)


@pytest.mark.parametrize(
    ("error", "words"),
    [(CommandError("no windows there"), "no windows there"),
     (SinkBusy("no answer"), "ClickHouse: no answer"),
     (RuntimeError("secret"), "An unexpected error; the worker's log has the details.")],
)  # fmt: skip
def test_failures_are_told_in_words(error: Exception, words: str) -> None:
    def judge(*_: object) -> StoredTrial:
        raise error

    judging(judge, lambda made: _assert_problem(finished(made, start(made)), words))


def _assert_problem(found: Backtest, words: str) -> None:
    assert found.problem == words


def test_one_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "TIMEOUT_S", 0.01)

    def judge(_: Rollout, __: int, ___: int, stop: threading.Event) -> StoredTrial:
        assert stop.wait(WAIT_S)
        raise CommandError("too long")

    async def used() -> None:
        made = Backtests(judge)
        found = made.find("a", start(made))
        await asyncio.wait([asyncio.wrap_future(found.result)], timeout=WAIT_S)
        assert found.problem == "too long"
        made.close()

    asyncio.run(used())


def test_the_end_of_the_worker_stops_what_runs() -> None:
    stopped = threading.Event()

    def judge(_: Rollout, __: int, ___: int, stop: threading.Event) -> StoredTrial:
        assert stop.wait(WAIT_S)
        stopped.set()
        return DONE

    judging(judge, lambda made: start(made) and None)
    assert stopped.wait(WAIT_S)


def test_only_the_newest_are_kept_and_without_a_judge_there_are_none() -> None:
    def use(made: Backtests) -> None:
        names = [finished(made, start(made)).id for _ in range(MAX_KEPT + 1)]
        with pytest.raises(Problem):
            made.find("a", names[0])
        made.find("a", names[1])

    judging(lambda *_: DONE, use)
    assert not Backtests().is_available
    with pytest.raises(Problem):
        Backtests().start(POLICY, "", 1, 0, 1)
