"""Waiting ends with the condition, and fails with the reason."""

from __future__ import annotations

import time

import pytest

from tests.waiting import stays_true, wait_until


def test_it_ends_once_the_condition_is_true() -> None:
    answers = iter([False, 0, "yes"])
    wait_until(lambda: next(answers), "the third answer", poll_s=0.0)
    assert list(answers) == []


def test_it_fails_with_the_reason_and_details() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.02 s: a miracle\nthe log"):
        wait_until(lambda: False, "a miracle", 0.02, details=lambda: "the log", poll_s=0.001)


def test_what_is_true_at_last_is_not_late() -> None:
    wait_until(lambda: True, "nothing", 0.0)


def test_what_stays_true_takes_its_time() -> None:
    started = time.monotonic()
    stays_true(lambda: True, "silence", 0.05, poll_s=0.001)
    assert time.monotonic() - started >= 0.05


def test_what_does_not_stay_true_fails_at_once() -> None:
    answers = iter([True, True, False])
    with pytest.raises(AssertionError, match="no longer so: silence"):
        stays_true(lambda: next(answers), "silence", 60.0, poll_s=0.0)
