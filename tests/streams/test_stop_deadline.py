"""A stop has a deadline, and says where it hangs when it misses it."""

from __future__ import annotations

import threading

import pytest
import structlog

from tests.waiting import wait_until
from understudy.streams.stop_deadline import stop_deadline

SHORT_S = 0.05
"""Long enough for a thread to wake up, short enough for a test that waits for it to pass."""


def test_work_that_ends_in_time_is_left_alone() -> None:
    stop = threading.Event()
    timeouts: list[bool] = []
    with stop_deadline(stop, on_timeout=lambda: timeouts.append(True)):
        stop.set()
    assert timeouts == []


def test_work_without_a_stop_may_take_as_long_as_it_wants() -> None:
    stop, timeouts = threading.Event(), list[bool]()
    with stop_deadline(stop, 0.0, on_timeout=lambda: timeouts.append(True)):
        assert not stop.is_set()
    assert timeouts == []


def test_a_stop_that_hangs_shows_all_stacks_and_ends_the_process(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stop, timed_out = threading.Event(), threading.Event()
    with structlog.testing.capture_logs() as logs, stop_deadline(stop, SHORT_S, timed_out.set):
        stop.set()
        wait_until(timed_out.is_set, "the deadline has passed")
    assert {"event": "worker.stop_timed_out", "timeout_s": SHORT_S, "log_level": "error"} in logs
    assert "wait_until" in capfd.readouterr().err
