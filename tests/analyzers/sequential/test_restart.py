import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.evidence import Evidence
from understudy.analyzers.sequential.restart import LEARNING_WINDOWS, RestartedWealth, log_share
from understudy.analyzers.sequential.wealth import Wealth

increments = hnp.arrays(np.float64, (LEARNING_WINDOWS + 10, 3), elements=st.floats(-3.0, 3.0))
overdispersions = st.floats(1.0, 9.0)


@given(increments, st.integers(1, 20))
def test_restarting_equals_the_weighted_sum_over_start_times(windows, budget):
    state = RestartedWealth.begin(3, budget)
    for step, window in enumerate(windows):
        state = state.fold(window)
        naive = sum(
            np.exp(log_share(start, budget) + windows[start : step + 1].sum(axis=0))
            for start in range(step + 1)
        )
        assert state.log_evidence == pytest.approx(np.log(np.mean(naive)), abs=1e-9)


def test_a_budget_of_windows_shares_out_at_most_one():
    for budget in (1, 7, 1_440):
        shares = [np.exp(log_share(step, budget)) for step in range(budget)]
        assert sum(shares) <= 1.0
        start = max(budget, LEARNING_WINDOWS)
        further = sum(np.exp(log_share(step, budget)) for step in range(start, start + budget))
        assert further == pytest.approx(0.5)


@given(increments, st.lists(overdispersions, min_size=LEARNING_WINDOWS + 10), overdispersions)
def test_the_first_windows_are_divided_by_what_is_known_by_now(windows, known, final):
    state = RestartedWealth.begin(3)
    for step, (window, overdispersion) in enumerate(zip(windows, known, strict=False), start=1):
        state = state.fold(window, overdispersion)
        if step <= LEARNING_WINDOWS:
            whole = windows[:step].sum(axis=0)
            assert state.log_wealth == pytest.approx(log_share(0) + whole / overdispersion)
            again = state.divided(final)
            assert again.log_wealth == pytest.approx(log_share(0) + whole / final)
            assert again.divided(overdispersion) == state
        else:
            assert state.divided(final) is state


def test_after_the_first_windows_each_is_divided_by_what_was_known_then():
    window = np.array([1.0, -1.0])
    state = RestartedWealth.begin(2)
    for _ in range(LEARNING_WINDOWS):
        state = state.fold(window, 4.0)
    before = np.array(state.log_wealth)
    fresh = log_share(LEARNING_WINDOWS)
    assert np.isfinite(fresh)
    expected = np.logaddexp(before, fresh) + window / 2.0
    assert state.fold(window, 2.0).log_wealth == pytest.approx(expected)


@given(increments, overdispersions, overdispersions)
def test_promotion_divides_all_windows_alike(windows, first, last):
    state = Wealth.begin(3)
    for window in windows[:-1]:
        state = state.fold(window, first)
    state = state.fold(windows[-1], last)
    assert state.log_wealth == pytest.approx(windows.sum(axis=0) / last)
    assert state.divided(first).log_wealth == pytest.approx(windows.sum(axis=0) / first)


@given(increments)
def test_batches_of_one_window_restart_once(windows):
    whole, parts = RestartedWealth.begin(3), RestartedWealth.begin(3)
    for window in windows:
        whole = whole.fold(window)
        parts = parts.fold(0.25 * window).fold(0.75 * window, restart=False)
    assert parts.steps == whole.steps == len(windows)
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-9)


def test_the_first_batch_always_brings_wealth():
    state = RestartedWealth.begin(2).fold(np.zeros(2), restart=False)
    assert state == RestartedWealth.begin(2).fold(np.zeros(2))


def test_a_long_healthy_past_does_not_hide_a_regression():
    healthy, harmful = np.array([-1.0, -0.1]), np.array([0.5, 0.1])
    state, plain = RestartedWealth.begin(2), Wealth.begin(2)
    for _ in range(2_000):
        state, plain = state.fold(healthy), plain.fold(healthy)
    for _ in range(40):
        state, plain = state.fold(harmful), plain.fold(harmful)
    assert state.log_evidence > np.log(100.0)
    assert plain.log_evidence < 0.0


@given(increments)
def test_plain_wealth_merges_in_any_order(windows):
    whole = Wealth.begin(3)
    for window in windows:
        whole = whole.fold(window)
    part, other = Wealth.begin(3), Wealth.begin(3)
    for window in windows[::2][::-1]:
        part = part.fold(window)
    for window in windows[1::2]:
        other = other.fold(window)
    merged = part + other
    assert merged.log_wealth == pytest.approx(whole.log_wealth, abs=1e-12)


@given(increments)
def test_states_survive_json(windows):
    state = Evidence.begin(3)
    assert Evidence.from_list(json.loads(json.dumps(state.to_list(), allow_nan=False))) == state
    for window in windows:
        state = state.fold_rollback(window, 1.5).fold_promotion(-window, 1.7)
        copy = Evidence.from_list(json.loads(json.dumps(state.to_list(), allow_nan=False)))
        assert copy == state


def test_the_same_windows_give_the_same_bits():
    rng = np.random.default_rng(3)
    windows = rng.normal(size=(50, 6))
    runs = []
    for _ in range(2):
        state = Evidence.begin(6)
        for window in windows:
            state = state.fold_rollback(window, 1.3).fold_promotion(window)
        runs.append(state.to_list())
    assert runs[0] == runs[1]


def test_a_new_stage_forgets_promotion_and_keeps_suspicion():
    state = Evidence.begin(2).fold_rollback(np.ones(2)).fold_promotion(np.ones(2))
    fresh = state.next_stage()
    assert fresh.rollback == state.rollback
    assert fresh.promotion.log_evidence == 0.0


def test_overdispersion_divides_and_cannot_multiply():
    window = np.array([2.0, 1.0])
    assert Wealth.begin(2).fold(window, 2.0).log_wealth.tolist() == [1.0, 0.5]
    with pytest.raises(ValueError, match="at least 1"):
        Wealth.begin(2).divided(0.5)
    for state in (Wealth.begin(2), RestartedWealth.begin(2)):
        with pytest.raises(ValueError, match="at least 1"):
            state.fold(window, 0.9)
    assert RestartedWealth.begin(2).fold(window, 2.0).log_evidence == pytest.approx(
        log_evidence(window / 2.0) - np.log(2.0)
    )


def test_nothing_seen_is_no_evidence():
    assert RestartedWealth.begin(4).log_evidence == -np.inf
    assert Wealth.begin(4).log_evidence == 0.0
    with pytest.raises(ValueError, match="budget"):
        RestartedWealth.begin(4, 0)
