"""The design effect without conversation ids, against traffic that was drawn."""

import numpy as np
import pytest

from understudy.analyzers.sequential import blocks

WINDOW_MS = 10_000
UNITS = 100


def learnt(counts, *, units=UNITS, window_ms=WINDOW_MS):
    """The state after windows with so many bad ones (windows,) or (windows, slices)."""
    counts = np.asarray(counts, dtype=float)
    state = blocks.begin(counts.shape[1:])
    for window, bad in enumerate(counts):
        share = bad / units
        variance = share * (1 - share) * units / max(1, units - 1)
        sums = np.stack([np.full_like(bad, units), bad, variance], axis=-1)
        state = blocks.after(state, window * window_ms, sums)
    return state


def conversations(rng, windows, turns, gap, bad=0.02, units=UNITS):
    """Bad turns a window, of conversations whose turns come `gap` windows apart."""
    span = int(turns * gap) + 1
    starts = rng.poisson(bad * units / turns, size=windows + span)
    counts = np.zeros(windows)
    for turn in range(turns):
        first = span - round(turn * gap)
        counts += starts[first : first + windows]
    return counts


def test_the_first_guess_holds_before_anything_was_seen():
    assert blocks.factor(blocks.begin()) == blocks.FIRST_GUESSES.max()
    assert blocks.factor(blocks.begin((2, 3))).shape == (2, 3)


def test_independent_requests_are_learnt_in_hours():
    rng = np.random.default_rng(1)
    counts = rng.binomial(UNITS, 0.02, size=(6 * 360, 50))
    medians = [np.median(blocks.factor(learnt(counts[:windows]))) for windows in (30, 180, 2_160)]
    assert medians[0] > 4.0 > medians[1] > 3.0
    assert 1.0 <= medians[2] < 1.5


@pytest.mark.parametrize(("turns", "gap"), [(5, 0), (5, 4.5), (20, 0), (10, 4.5)])
def test_conversations_show_whatever_their_pace(turns, gap):
    rng = np.random.default_rng(1)
    counts = np.stack([conversations(rng, 24 * 360, turns, gap) for _ in range(10)], axis=1)
    assert 0.6 * turns < np.median(blocks.factor(learnt(counts))) < 1.6 * turns


def test_no_failure_at_all_is_no_reason_to_keep_the_guess():
    assert blocks.factor(learnt(np.zeros(4 * 360))) < 1.3


def test_a_single_request_a_window_is_no_cluster():
    rng = np.random.default_rng(1)
    counts = rng.binomial(1, 0.2, size=(6 * 360, 30))
    assert np.median(blocks.factor(learnt(counts, units=1))) < 1.7


def test_a_daily_cycle_is_no_conversation():
    rng = np.random.default_rng(1)
    windows = np.arange(2 * 8_640)
    rate = 0.02 * (1 + 0.5 * np.sin(2 * np.pi * windows / 8_640))
    counts = rng.binomial(UNITS, rate[:, None], size=(windows.size, 10))
    assert np.median(blocks.factor(learnt(counts))) < 2.0


def test_a_lasting_regression_shows_once():
    rng = np.random.default_rng(1)
    rate = np.where(np.arange(24 * 360) < 12 * 360, 0.01, 0.03)
    counts = rng.binomial(UNITS, rate[:, None], size=(rate.size, 10))
    assert np.median(blocks.factor(learnt(counts))) < 3.0


def test_declared_turns_are_the_guess_and_the_most():
    rng = np.random.default_rng(1)
    state = learnt(conversations(rng, 360, 20, 4.5))
    assert blocks.factor(blocks.begin(), 8.0) == 8.0
    assert blocks.factor(state, 5.0) <= 5.0
    assert blocks.factor(state, 1.0) == 1.0


def test_a_quiet_hour_is_stepped_over():
    rng = np.random.default_rng(1)
    counts = rng.binomial(UNITS, 0.02, size=720).astype(float)
    state = blocks.begin()
    for window, bad in enumerate(counts):
        pause = 3_600_000 if window >= 360 else 0
        variance = bad / UNITS * (1 - bad / UNITS)
        state = blocks.after(state, window * WINDOW_MS + pause, np.array([UNITS, bad, variance]))
    assert blocks.factor(state) < 3.0


def test_windows_that_cannot_tell_their_variance_count_all_the_same():
    state = blocks.begin()
    for window in range(200):
        sums = np.array([1.0, float(window % 7 == 0), np.nan])
        state = blocks.after(state, window * WINDOW_MS, sums)
    assert np.isfinite(state).all()
    assert 1.0 <= blocks.factor(state) < 5.0


def test_empty_windows_change_nothing():
    state = learnt(np.random.default_rng(1).binomial(UNITS, 0.02, size=30))
    later = blocks.after(state, 29 * WINDOW_MS, np.array([0.0, 0.0, np.nan]))
    assert np.array_equal(state, later)


def test_what_was_given_is_not_changed():
    state = learnt(np.array([1.0, 2.0]))
    before = state.copy()
    blocks.after(state, 5 * WINDOW_MS, np.array([UNITS, 3.0, 0.02]))
    assert np.array_equal(state, before)


def test_slices_do_not_touch_each_other():
    counts = np.random.default_rng(1).binomial(UNITS, [0.01, 0.2], size=(400, 2))
    both = blocks.factor(learnt(counts))
    assert both.tolist() == [float(blocks.factor(learnt(counts[:, i]))) for i in range(2)]


def test_a_burst_of_the_candidate_is_no_conversation():
    few, many = np.array(10.0), np.array(5_000.0)
    stable, harm = np.array(1.2), np.array(15.0)
    assert blocks.combined(stable, harm, many) == 1.2
    assert blocks.combined(stable, harm, few) == 15.0


def test_an_incident_on_both_sides_is_no_conversation():
    rng = np.random.default_rng(1)
    rate = np.where((np.arange(720) >= 120) & (np.arange(720) < 180), 0.2, 0.01)
    stable = rng.binomial(UNITS, rate)
    candidate = rng.binomial(UNITS, rate)
    state = blocks.begin()
    for window, harm in enumerate(candidate - stable):
        p = rate[window]
        state = blocks.after(state, window * WINDOW_MS, np.array([UNITS, harm, 2 * p * (1 - p)]))
    own = blocks.factor(learnt(stable))
    assert own > 50.0
    assert blocks.combined(own, blocks.factor(state), np.array(stable.sum())) < 4.0


def test_many_windows_at_once_give_the_same_bits_as_one_by_one():
    rng = np.random.default_rng(8)
    starts = np.sort(rng.choice(np.arange(0, 6_000_000, 10_000), 300, replace=False))
    starts = np.concatenate([starts[:100], starts[99:]])  # two of one start
    units = rng.poisson(4.0, (len(starts), 5)).astype(float)
    units[:, 4] *= rng.random(len(starts)) < 0.02
    variance = np.where(rng.random(units.shape) < 0.1, np.nan, rng.random(units.shape))
    sums = np.stack([units, rng.normal(units, 1.0), variance], axis=-1)
    state, states = blocks.begin((5,)), []
    for start_ms, of_window in zip(starts.tolist(), sums, strict=True):
        states.append(state)
        state = blocks.after(state, start_ms, of_window)
    whole, final = blocks.path(blocks.begin((5,)), starts, sums)
    assert final.tobytes() == state.tobytes()
    assert blocks.factor(whole).tobytes() == blocks.factor(np.array(states)).tobytes()
    first, halfway = blocks.path(blocks.begin((5,)), starts[:77], sums[:77])
    rest, at_last = blocks.path(halfway, starts[77:], sums[77:])
    assert at_last.tobytes() == state.tobytes()
    assert np.concatenate([first, rest]).tobytes() == whole.tobytes()
    nothing, same = blocks.path(state, starts[:0], sums[:0])
    assert nothing.shape == (0, 5, 4, 10)
    assert same.tobytes() == state.tobytes()
