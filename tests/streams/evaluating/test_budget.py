"""What may still be spent: by the day, by the minute, over restarts."""

from __future__ import annotations

import random

import pytest

from understudy.streams.evaluating.budget import DAY_S, Budget

NOON = 20_000 * DAY_S + 43_200.0


def test_a_call_reserves_the_most_and_gives_back_the_rest() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=10)
    assert budget.allows_usd(NOON, 0.6)
    budget.reserve(NOON, 0.6)
    assert not budget.allows_usd(NOON, 0.6)
    budget.charge(NOON, 0.6, 0.1)
    assert budget.allows_usd(NOON, 0.6)
    assert budget.spent_usd(NOON) == pytest.approx(0.1)


def test_a_day_begins_at_midnight_utc() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=10)
    budget.reserve(NOON, 1.0)
    assert not budget.allows_usd(NOON + DAY_S / 2 - 1, 0.1)
    assert budget.allows_usd(NOON + DAY_S / 2, 1.0)
    budget.charge(NOON, 1.0, 0.0)
    assert budget.spent_usd(NOON + DAY_S / 2) == 0.0, "what a call of yesterday gives back is lost"


def test_calls_of_a_minute() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=2)
    for at_s in (0.0, 20.0):
        assert budget.wait_s(NOON + at_s) == 0.0
        budget.reserve(NOON + at_s, 0.0)
    assert budget.wait_s(NOON + 30.0) == pytest.approx(30.0)
    assert budget.wait_s(NOON + 60.0) == 0.0


def test_no_policy_allows_nothing() -> None:
    budget = Budget(usd_per_day=0.0, calls_per_minute=0)
    assert not budget.allows_usd(NOON, 0.1)
    assert budget.wait_s(NOON) > 0


def test_what_others_took_counts() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=3)
    budget.note_elsewhere(NOON - DAY_S, 5.0, 1, NOON)
    budget.note_elsewhere(NOON - 3600, 0.5, 1, NOON)
    budget.note_elsewhere(NOON - 10, 0.2, 2, NOON)
    assert budget.spent_usd(NOON) == pytest.approx(0.7)
    assert budget.wait_s(NOON) == 0.0
    budget.reserve(NOON, 0.1)
    assert budget.wait_s(NOON) == pytest.approx(50.0)


def test_it_is_never_exceeded_by_calls_of_this_worker() -> None:
    rng = random.Random(3)
    budget = Budget(usd_per_day=2.0, calls_per_minute=30)
    now_s, spent, in_flight, calls = NOON, 0.0, [], []
    for _ in range(20_000):
        now_s += rng.expovariate(2.0)
        if now_s >= NOON + DAY_S / 2:
            break
        if in_flight and rng.random() < 0.5:
            at_s, most = in_flight.pop(rng.randrange(len(in_flight)))
            usd = most * rng.random()
            budget.charge(at_s, most, usd)
            spent += usd
        most = 0.05 * rng.random()
        if budget.wait_s(now_s) == 0.0 and budget.allows_usd(now_s, most):
            budget.reserve(now_s, most)
            in_flight.append((now_s, most))
            calls.append(now_s)
        assert spent + sum(most for _, most in in_flight) <= 2.0 + 1e-9
    assert spent > 1.5
    assert all(b - a >= 60.0 for a, b in zip(calls, calls[30:], strict=False))


def test_calls_of_others_are_forgotten_after_a_minute() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=3)
    for second in range(1_000):
        budget.note_elsewhere(NOON + second, 0.0, 1, NOON + second)
    assert len(budget._calls_s) == 60


def test_calls_are_told_late_and_by_clocks_that_are_ahead() -> None:
    budget = Budget(usd_per_day=1.0, calls_per_minute=1)
    for at_s in (NOON - 5, NOON - 20, NOON + 1e9):
        budget.note_elsewhere(at_s, 0.0, 1, NOON)
    assert list(budget._calls_s) == [NOON - 20, NOON - 5, NOON]
    assert budget.wait_s(NOON + 60) == 0.0


def test_a_call_belongs_to_the_day_in_which_it_was_reserved() -> None:
    budget = Budget(usd_per_day=10.0, calls_per_minute=60)
    midnight = NOON + DAY_S / 2
    budget.reserve(midnight - 0.01, 9.0)
    budget.note_elsewhere(midnight, 1.0, 1, midnight)
    budget.charge(midnight - 0.01, 9.0, 0.5)
    assert budget.spent_usd(midnight) == 1.0
    budget.reserve(midnight - 0.01, 9.0)  # by a thread that looked at the clock before
    assert budget.spent_usd(midnight) == 1.0
