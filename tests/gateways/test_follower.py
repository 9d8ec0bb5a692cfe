"""Threads that follow: after a failure, after a fork, and to the end."""

from __future__ import annotations

import datetime as dt
import logging
import threading

import pytest

from tests.waiting import wait_until
from understudy.gateways.allocation import Allocation, distrusted, in_force
from understudy.gateways.follower import Follower

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def allocation(share: float) -> Allocation:
    return Allocation(
        rollout_id="checkout", mode="canary", candidate_share=share, mirror_share=0.0,
        verdict="hold", stage="5%", decided_at=NOW, written_at=NOW,
    )  # fmt: skip


class Failing(Follower[Allocation]):
    """Raises twice, then reads one allocation and waits."""

    _what = "decisions"

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0
        self._run("one", self._follow)
        self._run("one", self._follow)

    def _follow(self, stop: threading.Event) -> None:
        self.attempts += 1
        if self.attempts < 3:
            raise OSError("away")
        self._values["checkout"] = allocation(0.05)
        stop.wait()


def test_follows_again_after_a_failure_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    follower = Failing()
    wait_until(lambda: follower._values, "the third attempt")
    assert follower.attempts == 3
    assert [record.getMessage() for record in caplog.records] == [
        "The newest decisions cannot be read, what is known grows old: away"
    ]
    follower.close()
    assert not any(thread.is_alive() for thread in follower._threads.values())


def test_child_of_a_fork_knows_nothing_and_has_no_threads() -> None:
    follower = Failing()
    wait_until(lambda: follower._values, "the third attempt")
    stop, threads = follower._stop, list(follower._threads.values())
    follower.begin_in_child()
    assert (follower._threads, follower._values) == ({}, {})
    stop.set()
    for thread in threads:
        thread.join()


def test_decision_that_cannot_be_read_gives_the_candidate_nothing() -> None:
    stopped = in_force(distrusted(allocation(0.05)), NOW)
    assert stopped is not None
    assert (stopped.candidate_share, stopped.is_stale) == (0.0, True)
    kept = in_force(distrusted(allocation(1.0)), NOW)
    assert kept is not None
    assert (kept.candidate_share, kept.is_stale) == (1.0, True)
