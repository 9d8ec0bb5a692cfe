"""Restarts: a weighted sum over the windows at which a bettor began, at one logaddexp a window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.restart import (
    log_share,
    log_shares,
    restarted,
    restarted_path,
)

WINDOWS = 30
increments = hnp.arrays(np.float64, (WINDOWS, 3), elements=st.floats(-3.0, 3.0))


def path_of(won, budget=1_440):
    begun = np.full(won.shape[1:], -np.inf)
    return restarted_path(begun, won, log_shares(np.arange(float(len(won))), budget))


@given(increments, st.integers(1, 20))
def test_restarting_equals_the_weighted_sum_over_start_times(won, budget):
    path = path_of(won, budget)
    for step in range(WINDOWS):
        naive = sum(
            np.exp(log_share(start, budget) + won[start : step + 1].sum(axis=0))
            for start in range(step + 1)
        )
        assert path[step + 1] == pytest.approx(np.log(naive), abs=1e-9)


def test_a_budget_of_windows_shares_out_at_most_one():
    for budget in (1, 7, 1_440):
        shares = [np.exp(log_share(step, budget)) for step in range(2 * budget)]
        assert sum(shares[:budget]) <= 1.0
        assert sum(shares[budget:]) == pytest.approx(0.5)


def test_shares_of_many_windows_at_once():
    steps = np.arange(12.0).reshape(3, 4)
    expected = [[log_share(int(step), 7) for step in row] for row in steps]
    assert log_shares(steps, 7).tolist() == expected


def test_a_long_healthy_past_does_not_hide_a_regression():
    healthy, harmful = np.array([-1.0, -0.1]), np.array([0.5, 0.1])
    won = np.array([healthy] * 2_000 + [harmful] * 40)
    assert log_evidence(path_of(won)[-1]) > np.log(100.0)
    assert log_evidence(won.sum(axis=0)) < 0.0


def test_one_at_a_time_and_together_are_the_same_bits():
    won = np.random.default_rng(3).normal(size=(50, 4, 6))
    fresh = np.where(np.random.default_rng(4).random((50, 4)) < 0.3, -np.inf, -3.0)
    together = restarted_path(np.full((4, 6), -np.inf), won, fresh)
    alone = np.full((4, 6), -np.inf)
    for step in range(50):
        alone = restarted(alone, won[step], fresh[step][:, None])
        assert np.array_equal(alone, together[step + 1])


def test_nothing_seen_is_no_evidence():
    path = path_of(np.zeros((0, 3)))
    assert log_evidence(path[-1]) == -np.inf
    assert log_evidence(path_of(np.zeros((1, 3)))[-1]) == pytest.approx(-np.log(2.0))
