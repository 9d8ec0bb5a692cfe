"""The stall watchdog: only windows that wait while nothing is applied count."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from understudy.streams.deciding.stall_watchdog import StallWatchdog

APPLIED = {("understudy.windows", 0): 7}


@pytest.mark.parametrize(
    ("lags", "stalls_after"),
    [({0: 5}, 5), ({0: 0, 1: 1}, 5), ({0: 0}, None), ({}, None), (None, None)],
)
def test_windows_that_wait(lags: Mapping[int, int] | None, stalls_after: int | None) -> None:
    watchdog = StallWatchdog(2.0, timeout_s=10.0)
    watchdog.is_stalled(APPLIED, {})
    found = [watchdog.is_stalled(APPLIED, lags) for _ in range(6)]
    assert (found.index(True) + 1 if True in found else None) == stalls_after


def test_whatever_is_applied_begins_the_count_anew() -> None:
    watchdog = StallWatchdog(2.0, timeout_s=10.0)
    applied = dict(APPLIED)
    for _ in range(5):
        watchdog.is_stalled(applied, {0: 5})
    assert watchdog.stalled_s == 8.0
    applied["understudy.rollouts", 0] = 1
    assert not watchdog.is_stalled(applied, {0: 5})
    assert watchdog.stalled_s == 0.0


def test_a_question_that_is_never_answered() -> None:
    """One that fails where Kafka is away is answered, and begins the count anew."""
    watchdog = StallWatchdog(2.0, unanswered_timeout_s=20.0)
    answers = [False, False, True, False, False, False]
    assert [watchdog.is_unanswered(one, 7.0) for one in answers] == [False] * 5 + [True]
    assert watchdog.unanswered_s == 21.0
