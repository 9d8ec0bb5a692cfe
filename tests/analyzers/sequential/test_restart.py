import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.restart import LEARNING_WINDOWS, RestartedWealth, log_share
from understudy.analyzers.sequential.wealth import Wealth

increments = hnp.arrays(np.float64, (LEARNING_WINDOWS + 10, 3), elements=st.floats(-3.0, 3.0))
overdispersions = st.floats(1.0, 9.0)


@given(increments, st.integers(1, 20))
def test_restarting_equals_the_weighted_sum_over_start_times(windows, budget):
    state = RestartedWealth(budget_windows=budget)
    for step, window in enumerate(windows):
        state = state.after(window)
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
    state = RestartedWealth()
    for step, (window, overdispersion) in enumerate(zip(windows, known, strict=False), start=1):
        state = state.after(window, overdispersion)
        if step <= LEARNING_WINDOWS:
            whole = windows[:step].sum(axis=0)
            assert state.log_wealth == pytest.approx(log_share(0) + whole / overdispersion)
            again = state.divided_by(final)
            assert again.log_wealth == pytest.approx(log_share(0) + whole / final)
            assert again.divided_by(overdispersion) == state
        else:
            assert state.divided_by(final) is state


def test_after_the_first_windows_each_is_divided_by_what_was_known_then():
    window = np.array([1.0, -1.0])
    state = RestartedWealth()
    for _ in range(LEARNING_WINDOWS):
        state = state.after(window, 4.0)
    before = np.array(state.log_wealth)
    fresh = log_share(LEARNING_WINDOWS)
    assert np.isfinite(fresh)
    expected = np.logaddexp(before, fresh) + window / 2.0
    assert state.after(window, 2.0).log_wealth == pytest.approx(expected)


@given(increments, overdispersions, overdispersions)
def test_promotion_divides_all_windows_alike(windows, first, last):
    state = Wealth.begin(3)
    for window in windows[:-1]:
        state = state.after(window, first)
    state = state.after(windows[-1], last)
    assert state.log_wealth == pytest.approx(windows.sum(axis=0) / last)
    assert state.divided_by(first).log_wealth == pytest.approx(windows.sum(axis=0) / first)


@given(increments)
def test_batches_of_one_window_restart_once(windows):
    whole, parts = RestartedWealth(), RestartedWealth()
    for window in windows:
        whole = whole.after(window)
        parts = parts.after(0.25 * window).after(0.75 * window, restart=False)
    assert parts.windows == whole.windows == len(windows)
    assert parts.log_wealth == pytest.approx(whole.log_wealth, abs=1e-9)


def test_the_first_batch_always_brings_wealth():
    state = RestartedWealth().after(np.zeros(2), restart=False)
    assert state == RestartedWealth().after(np.zeros(2))


def test_a_long_healthy_past_does_not_hide_a_regression():
    healthy, harmful = np.array([-1.0, -0.1]), np.array([0.5, 0.1])
    state, plain = RestartedWealth(), Wealth.begin(2)
    for _ in range(2_000):
        state, plain = state.after(healthy), plain.after(healthy)
    for _ in range(40):
        state, plain = state.after(harmful), plain.after(harmful)
    assert state.log_evidence > np.log(100.0)
    assert plain.log_evidence < 0.0


@given(increments)
def test_plain_wealth_merges_in_any_order(windows):
    whole = Wealth.begin(3)
    for window in windows:
        whole = whole.after(window)
    part, other = Wealth.begin(3), Wealth.begin(3)
    for window in windows[::2][::-1]:
        part = part.after(window)
    for window in windows[1::2]:
        other = other.after(window)
    merged = part + other
    assert merged.log_wealth == pytest.approx(whole.log_wealth, abs=1e-12)


@given(increments)
def test_states_survive_json(windows):
    rollback, promotion = RestartedWealth(), Wealth.begin(3)
    assert through_json(rollback) == rollback
    assert through_json(promotion) == promotion
    for window in windows:
        rollback, promotion = rollback.after(window, 1.5), promotion.after(-window, 1.7)
        assert through_json(rollback) == rollback
        assert through_json(promotion) == promotion


def through_json(state):
    return msgspec.json.decode(msgspec.json.encode(state), type=type(state))


def test_the_same_windows_give_the_same_bits():
    rng = np.random.default_rng(3)
    windows = rng.normal(size=(50, 6))
    runs = []
    for _ in range(2):
        rollback, promotion = RestartedWealth(), Wealth.begin(6)
        for window in windows:
            rollback, promotion = rollback.after(window, 1.3), promotion.after(window)
        runs.append(msgspec.json.encode([rollback, promotion]))
    assert runs[0] == runs[1]


def test_overdispersion_divides_and_cannot_multiply():
    window = np.array([2.0, 1.0])
    assert Wealth.begin(2).after(window, 2.0).log_wealth.tolist() == [1.0, 0.5]
    with pytest.raises(ValueError, match="at least 1"):
        Wealth.begin(2).divided_by(0.5)
    for state in (Wealth.begin(2), RestartedWealth()):
        with pytest.raises(ValueError, match="at least 1"):
            state.after(window, 0.9)
    assert RestartedWealth().after(window, 2.0).log_evidence == pytest.approx(
        log_evidence(window / 2.0) - np.log(2.0)
    )


def test_nothing_seen_is_no_evidence():
    assert RestartedWealth().log_evidence == -np.inf
    assert Wealth.begin(4).log_evidence == 0.0
    with pytest.raises(ValueError, match="budget"):
        RestartedWealth(budget_windows=0)
