import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.log_factorial import log_choose, log_factorial
from understudy.analyzers.sequential.two_arm import Arm, Arms, log_increments

MARGIN = 0.05


def average_over_pairings(arms, margin, bet):
    """Brute force: every way of giving each unit of the smaller arm its own unit of the larger."""
    candidate = [1] * arms.candidate.bad + [0] * (arms.candidate.units - arms.candidate.bad)
    stable = [1] * arms.stable.bad + [0] * (arms.stable.units - arms.stable.bad)
    swapped = len(candidate) > len(stable)
    smaller, larger = (stable, candidate) if swapped else (candidate, stable)
    sign = -1 if swapped else 1
    payoffs = [
        math.prod(1 + bet * (sign * (x - y) - margin) for x, y in zip(smaller, chosen, strict=True))
        for chosen in itertools.permutations(larger, len(smaller))
    ]
    return sum(payoffs) / len(payoffs)


def all_arms(candidate_units, stable_units):
    for candidate_bad in range(candidate_units + 1):
        for stable_bad in range(stable_units + 1):
            yield Arms(Arm(candidate_units, candidate_bad), Arm(stable_units, stable_bad))


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
@pytest.mark.parametrize("units", [(1, 1), (2, 5), (5, 2), (4, 4), (1, 6), (3, 6), (6, 3)])
def test_closed_form_equals_the_average_over_all_pairings(direction, units):
    bets = signed_bets(direction, MARGIN)
    for arms in all_arms(*units):
        won = np.exp(log_increments(arms, MARGIN, bets))
        by_hand = [average_over_pairings(arms, MARGIN, bet) for bet in bets]
        assert won == pytest.approx(by_hand, rel=1e-9), arms


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
@pytest.mark.parametrize("units", [(8, 8), (3, 17), (17, 3), (1, 20)])
@pytest.mark.parametrize("base_rate", [0.0, 0.01, 0.3, 0.95])
def test_expected_evidence_is_at_most_one_at_the_margin(direction, units, base_rate):
    """Exact enumeration of both arms' counts under rates that differ by just the margin."""
    bets = signed_bets(direction, MARGIN)
    expected = 0.0
    for arms in all_arms(*units):
        chance = binomial(arms.candidate, base_rate + MARGIN) * binomial(arms.stable, base_rate)
        expected += chance * math.exp(log_evidence(log_increments(arms, MARGIN, bets)))
    assert expected == pytest.approx(1.0)


def binomial(arm, rate):
    return math.comb(arm.units, arm.bad) * rate**arm.bad * (1 - rate) ** (arm.units - arm.bad)


def full_sum(arms, margin, bet):
    """The same sum in whole-number arithmetic, every term of it."""
    candidate, stable = arms.candidate, arms.stable
    alike = math.log(1 - bet * margin)
    small_only, large_only = math.log(1 + bet * (1 - margin)), math.log(1 - bet * (1 + margin))
    small, large = candidate, stable
    if candidate.units > stable.units:
        small, large, small_only, large_only = stable, candidate, large_only, small_only
    good, spare, k = small.units - small.bad, large.units - small.units, large.bad
    log_total = math.log(math.comb(large.units, k))
    terms = []
    for u in range(min(small.bad, k) + 1):
        for v in range(max(0, k - u - spare), min(good, k - u) + 1):
            ways = math.comb(small.bad, u) * math.comb(good, v) * math.comb(spare, k - u - v)
            payoff = (u + good - v) * alike + (small.bad - u) * small_only + v * large_only
            terms.append(math.log(ways) - log_total + payoff)
    return float(np.logaddexp.reduce(terms))


@pytest.mark.parametrize(
    "arms",
    [
        Arms(Arm(400, 300), Arm(400, 290)),
        Arms(Arm(300, 40), Arm(2_000, 250)),
        Arms(Arm(2_000, 150), Arm(300, 1)),
        Arms(Arm(900, 0), Arm(1_000, 160)),
        Arms(Arm(900, 900), Arm(1_000, 120)),
        Arms(Arm(5, 5), Arm(3_000, 3_000)),
        Arms(Arm(1_000, 30), Arm(1_200, 1_150)),
        Arms(Arm(60, 1), Arm(5_000, 9)),
        Arms(Arm(60, 0), Arm(20_000, 6)),
    ],
)
def test_cutting_the_tails_loses_nothing_that_matters(arms):
    for direction in ("rollback", "promotion"):
        bets = signed_bets(direction, MARGIN)
        whole = [full_sum(arms, MARGIN, bet) for bet in bets]
        won = log_increments(arms, MARGIN, bets)
        assert won == pytest.approx(whole, abs=1e-8, rel=1e-10)


@pytest.mark.parametrize("margin", [0.0, 0.2, -0.1, 0.9])
def test_arms_of_any_size_and_badness_stay_finite(margin):
    sizes = [1, 7, 900, 60_000, 1_000_000]
    for units, others in itertools.product(sizes, sizes):
        for bad, others_bad in itertools.product(
            {0, 1, units // 3, units}, {0, others // 2, others}
        ):
            arms = Arms(Arm(units, bad), Arm(others, others_bad))
            for direction in ("rollback", "promotion"):
                won = log_increments(arms, margin, signed_bets(direction, margin))
                assert np.all(np.isfinite(won)), arms


arm = st.integers(0, 60).flatmap(lambda n: st.integers(0, n).map(lambda bad: Arm(n, bad)))


@settings(max_examples=50)
@given(arm, arm)
def test_worse_candidates_give_more_rollback_and_less_promotion_evidence(candidate, stable):
    if candidate.bad == candidate.units:
        return
    arms = Arms(candidate, stable)
    worse = Arms(Arm(candidate.units, candidate.bad + 1), stable)
    for direction, sign in (("rollback", 1.0), ("promotion", -1.0)):
        bets = signed_bets(direction, MARGIN)
        gain = log_increments(worse, MARGIN, bets) - log_increments(arms, MARGIN, bets)
        assert np.all(sign * gain >= -1e-9)


def test_an_empty_arm_wins_nothing():
    bets = signed_bets("rollback", MARGIN)
    alone = Arms(Arm(20, 3), Arm(0, 0))
    assert not alone.has_both
    assert not log_increments(alone, MARGIN, bets).any()
    assert Arms(Arm(20, 3), Arm(30, 1)).has_both


def test_more_bad_units_than_units_are_an_error():
    with pytest.raises(ValueError, match="exceed"):
        Arm(3, 4)


def test_log_factorials_match_exact_ones():
    numbers = np.array([0, 1, 5, 170, 1_023, 1_024, 5_000, 1_000_000])
    exact = [math.lgamma(n + 1) for n in numbers.tolist()]
    assert log_factorial(numbers) == pytest.approx(exact, rel=1e-13)
    assert log_choose(2_000, [-1, 0, 3, 2_000, 2_001]) == pytest.approx(
        [-np.inf, 0.0, math.log(math.comb(2_000, 3)), 0.0, -np.inf]
    )
    assert log_factorial(np.empty(0, dtype=int)).size == 0
