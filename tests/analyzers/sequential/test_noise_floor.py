import numpy as np
import pytest

from understudy.analyzers.sequential import noise_floor, two_arm, unbounded
from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.two_arm import Arm
from understudy.analyzers.sequential.unbounded import Moments, Scale

EDGES = np.linspace(0.0, 1.0, 21)


def window(rng, mean, units):
    similarity = rng.beta(8.0 * mean, 8.0 * (1.0 - mean), units)
    return noise_floor.disagreement_moments(np.histogram(similarity, EDGES)[0] * 1.0, EDGES)


def rollback_evidence(candidate_mean, margin=0.03):
    rng = np.random.default_rng(6)
    scale, wealth = Scale(), np.zeros(7)
    for _ in range(60):
        ours, floor = window(rng, candidate_mean, 100), window(rng, 0.7, 20)
        batch = noise_floor.excess_disagreement(ours, floor, margin)
        wealth = wealth + unbounded.log_increments(batch, scale, "rollback")
        scale = scale.after(batch)
    return log_evidence(wealth)


def test_only_disagreement_beyond_the_floor_counts():
    assert rollback_evidence(0.7) < 0.0
    assert rollback_evidence(0.55) > np.log(100.0)


def test_without_control_sides_nothing_is_said():
    rng = np.random.default_rng(6)
    batch = noise_floor.excess_disagreement(window(rng, 0.5, 100), Moments(0, 0.0, 0.0), 0.03)
    assert batch.units == 0.0


def test_moments_of_a_histogram():
    moments = noise_floor.disagreement_moments(
        np.array([1.0, 0.0, 3.0]), np.array([0.0, 0.2, 0.8, 1.0])
    )
    assert moments == Moments(4, pytest.approx(0.9 + 0.3), pytest.approx(0.81 + 0.03))


def test_changed_answers_go_to_two_arms():
    bets = signed_bets("rollback", 0.02)
    same = noise_floor.excess_changes(Arm(500, 100), Arm(100, 20))
    worse = noise_floor.excess_changes(Arm(500, 300), Arm(100, 20))
    assert log_evidence(two_arm.log_increments(same, 0.02, bets)) < 1.0
    assert log_evidence(two_arm.log_increments(worse, 0.02, bets)) > np.log(100.0)
