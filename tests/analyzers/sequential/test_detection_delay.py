"""Detection delay as computed, against evidence that was simulated."""

import math

import numpy as np
import pytest

from understudy.analyzers.sequential import detection_delay, exact, two_arm_cells
from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.restart import log_share

ROLLOUTS = 300


def simulated(increments, units, threshold):
    """Median units until evidence (rollouts, looks, bets) reaches a threshold."""
    evidence = log_evidence(log_share(0) + increments.cumsum(axis=1))
    found = evidence >= threshold
    assert found[:, -1].mean() > 0.8
    first = np.where(found.any(axis=1), found.argmax(axis=1), found.shape[1] - 1)
    return float(np.median(units.cumsum(axis=1)[np.arange(first.size), first]))


@pytest.mark.parametrize("weight", [0.5, 1 / 18, 1 / 576])
@pytest.mark.parametrize(("bad", "worse", "margin"), [(0.01, 0.05, 0.01), (0.05, 0.08, 0.01)])
def test_pairs(bad, worse, margin, weight):
    rng = np.random.default_rng(1)
    candidate_only, stable_only = detection_delay.paired_chances(bad, worse - bad, 0.5)
    chances = [stable_only, 1 - stable_only - candidate_only, candidate_only]
    counts = rng.multinomial(20, chances, size=(ROLLOUTS, 1_000))
    bets = signed_bets("rollback", margin)
    won = exact.log_increments(counts, exact.PAIRED_VALUES, margin, bets)
    threshold = -math.log(0.01 * weight)
    growth = detection_delay.paired_growth(candidate_only, stable_only, margin, bets)
    expected = simulated(won, counts.sum(axis=2), threshold)
    assert detection_delay.median_units(growth, threshold) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
def test_arms(share):
    rng = np.random.default_rng(1)
    margin, bad, worse = 0.01, 0.02, 0.07
    candidates = rng.binomial(200, share, size=(ROLLOUTS, 300 if share < 0.1 else 60))
    stables = 200 - candidates
    ours, theirs = rng.binomial(candidates, worse), rng.binomial(stables, bad)
    bets = signed_bets("rollback", margin)
    payoffs = two_arm_cells.Payoffs.of(margin, bets)
    arms = (one.astype(float) for one in (candidates, ours, stables, theirs))
    won = two_arm_cells.log_increments(*arms, payoffs)
    threshold = -math.log(0.001)
    growth = detection_delay.arms_growth(worse, bad, share, margin, bets)
    expected = simulated(won, candidates, threshold)
    assert detection_delay.median_units(growth, threshold) == pytest.approx(expected, rel=0.2)


def test_what_is_within_the_margin_is_never_found():
    bets = signed_bets("rollback", 0.02)
    growth = detection_delay.paired_growth(
        *detection_delay.paired_chances(0.01, 0.01, 0.5), 0.02, bets
    )
    assert detection_delay.median_units(growth, 5.0) == math.inf


def test_clustered_requests_take_as_many_times_more():
    growth = detection_delay.paired_growth(0.05, 0.005, 0.01, signed_bets("rollback", 0.01))
    assert detection_delay.median_units(growth, 5.0, 4.0) == 4.0 * detection_delay.median_units(
        growth, 5.0
    )


def test_chances_of_pairs_add_up_to_the_harm():
    candidate_only, stable_only = detection_delay.paired_chances(0.02, 0.03, 0.3)
    assert candidate_only - stable_only == pytest.approx(0.03)
    assert detection_delay.paired_chances(0.02, 0.03, 1.0)[1] == 0.0
