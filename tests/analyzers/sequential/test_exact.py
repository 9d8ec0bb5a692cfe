import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.sequential import exact
from understudy.analyzers.sequential.bets import log_evidence, signed_bets

DIRECTIONS = ["rollback", "promotion"]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_wealth_is_the_product_over_units(direction):
    outcomes = [1, 0, 0, -1, 1, 0, 1, -1, -1, 0]
    bets = signed_bets(direction, 0.02)
    by_hand = [math.prod(1.0 + bet * (harm - 0.02) for harm in outcomes) for bet in bets]
    counts = exact.paired_counts(10, stable_only=3, candidate_only=3)
    won = exact.log_increments(counts, exact.PAIRED_VALUES, 0.02, bets)
    assert np.exp(won) == pytest.approx(by_hand)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("stable_only", [0.0, 0.1, 0.4])
def test_expected_evidence_is_at_most_one_at_the_margin(direction, stable_only):
    """All 3^6 sequences of six paired outcomes whose mean harm is exactly the margin."""
    margin = 0.1
    chance = {-1: stable_only, 0: 1.0 - 2 * stable_only - margin, 1: stable_only + margin}
    bets = signed_bets(direction, margin)
    expected = 0.0
    for outcomes in itertools.product(chance, repeat=6):
        counts = np.array([outcomes.count(-1), outcomes.count(0), outcomes.count(1)])
        won = exact.log_increments(counts, exact.PAIRED_VALUES, margin, bets)
        expected += math.prod(chance[harm] for harm in outcomes) * math.exp(log_evidence(won))
    assert expected == pytest.approx(1.0)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("better_by", [0.0, 0.005, 0.009])
def test_limit_evidence_is_at_most_one_on_its_null(direction, better_by):
    margin = 0.01
    rate = margin - better_by if direction == "rollback" else margin + better_by
    bets = signed_bets(direction, margin, low=0.0)
    expected = 0.0
    for bad in range(21):
        won = exact.log_increments(exact.limit_counts(20, bad), exact.LIMIT_VALUES, margin, bets)
        chance = math.comb(20, bad) * rate**bad * (1 - rate) ** (20 - bad)
        expected += chance * math.exp(log_evidence(won))
    assert expected <= 1.0 + 1e-12


counts = st.lists(st.integers(0, 500), min_size=3, max_size=3).map(np.array)


@given(counts, counts, st.sampled_from(DIRECTIONS), st.floats(-0.5, 0.5))
def test_increments_of_parts_add_up_to_the_whole(a, b, direction, margin):
    bets = signed_bets(direction, margin)

    def won(part):
        return exact.log_increments(part, exact.PAIRED_VALUES, margin, bets)

    assert won(a) + won(b) == pytest.approx(won(a + b), abs=1e-9)


@given(counts, st.floats(-0.9, 0.85))
def test_a_wider_margin_never_speaks_for_rollback_nor_against_promotion(harms, margin):
    def evidence(direction, at):
        bets = signed_bets(direction, at)
        return log_evidence(exact.log_increments(harms, exact.PAIRED_VALUES, at, bets))

    assert evidence("rollback", margin + 0.1) <= evidence("rollback", margin) + 1e-9
    assert evidence("promotion", margin + 0.1) >= evidence("promotion", margin) - 1e-9


@given(counts)
def test_one_more_harm_speaks_for_rollback_and_against_promotion(harms):
    worse = harms + np.array([0, 0, 1])
    for direction, sign in (("rollback", 1.0), ("promotion", -1.0)):
        bets = signed_bets(direction, 0.01)
        before = log_evidence(exact.log_increments(harms, exact.PAIRED_VALUES, 0.01, bets))
        after = log_evidence(exact.log_increments(worse, exact.PAIRED_VALUES, 0.01, bets))
        assert sign * (after - before) >= 0.0


def test_many_windows_at_once_equal_one_at_a_time():
    rng = np.random.default_rng(5)
    windows = rng.multinomial(50, [0.1, 0.7, 0.2], size=(4, 3))
    bets = signed_bets("rollback", 0.0)
    together = exact.log_increments(windows, exact.PAIRED_VALUES, 0.0, bets)
    assert together.shape == (4, 3, 6)
    alone = exact.log_increments(windows[2, 1], exact.PAIRED_VALUES, 0.0, bets)
    assert np.allclose(together[2, 1], alone)


def test_nothing_seen_wins_nothing():
    bets = signed_bets("rollback", 0.01)
    assert not exact.log_increments([0, 0, 0], exact.PAIRED_VALUES, 0.01, bets).any()
    assert exact.log_increments(np.empty((0, 3)), exact.PAIRED_VALUES, 0.01, bets).shape == (0, 6)


def test_impossible_counts_are_errors():
    with pytest.raises(ValueError, match="discordant"):
        exact.paired_counts(3, 2, 2)
    with pytest.raises(ValueError, match="exceed"):
        exact.limit_counts(3, 4)
