"""Whole rollouts, simulated: how often verdicts are false, how often and how soon they are right.

A short version of benchmarks/verdicts.py with a fixed seed; the bounds leave room for its size.
"""

import numpy as np
import pytest

from understudy.analyzers.sequential import Overdispersion, RestartedWealth, Wealth, exact, two_arm
from understudy.analyzers.sequential.bets import log_evidence, signed_bets
from understudy.analyzers.sequential.restart import log_share, restarted
from understudy.analyzers.sequential.two_arm import Arm, Arms

ROLLOUTS, LOOKS, PER_LOOK = 300, 200, 100
MARGIN = 0.005


def rollback_looks(increments):
    """First look (rollouts,) at which evidence reaches 100, or LOOKS: (rollouts, looks, bets)."""
    wealth = np.full((increments.shape[0], increments.shape[2]), -np.inf)
    first = np.full(increments.shape[0], LOOKS)
    for look in range(LOOKS):
        wealth = restarted(wealth, increments[:, look], log_share(look))
        crossed = (log_evidence(wealth) >= np.log(100.0)) & (first == LOOKS)
        first[crossed] = look
    return first


def paired_increments(harm, direction, seed=7):
    rng = np.random.default_rng(seed)
    chances = [0.005, 0.99 - harm, 0.005 + harm]
    counts = rng.multinomial(PER_LOOK, chances, size=(ROLLOUTS, LOOKS))
    bets = signed_bets(direction, MARGIN)
    return exact.log_increments(counts, exact.PAIRED_VALUES, MARGIN, bets)


def test_a_harm_at_the_margin_is_rarely_rolled_back():
    first = rollback_looks(paired_increments(MARGIN, "rollback"))
    assert (first < LOOKS).mean() <= 0.01


def test_a_harm_of_two_points_is_always_rolled_back_and_soon():
    first = rollback_looks(paired_increments(0.02, "rollback"))
    assert (first < LOOKS).all()
    assert np.median(first) * PER_LOOK <= 2_000


@pytest.mark.parametrize(("harm", "least", "most"), [(MARGIN, 0.0, 0.05), (0.0, 0.95, 1.0)])
def test_equal_models_are_promoted_and_worse_ones_are_not(harm, least, most):
    wealth = paired_increments(harm, "promotion").cumsum(axis=1)
    promoted = (log_evidence(wealth) >= np.log(20.0)).any(axis=1).mean()
    assert least <= promoted <= most


@pytest.mark.parametrize(("harm", "least", "most"), [(0.0, 0.0, 0.02), (0.04, 0.98, 1.0)])
def test_separate_arms_survive_a_shared_incident(harm, least, most):
    """The candidate's share rises from 5 to 50 % while both arms fail together for a while."""
    rng = np.random.default_rng(9)
    rollouts = 100
    share = np.repeat([0.05, 0.25, 0.5, 0.5], LOOKS // 4)
    rate = np.where((np.arange(LOOKS) > 110) & (np.arange(LOOKS) < 140), 0.2, 0.01)
    units = rng.binomial(PER_LOOK, share, size=(rollouts, LOOKS))
    bad = rng.binomial(units, rate + harm)
    stable_bad = rng.binomial(PER_LOOK - units, rate)
    bets, known = signed_bets("rollback", 0.0), {}
    increments = np.zeros((rollouts, LOOKS, bets.size))
    for index in np.ndindex(rollouts, LOOKS):
        key = (int(units[index]), int(bad[index]), int(stable_bad[index]))
        if key not in known:
            arms = Arms(Arm(key[0], key[1]), Arm(PER_LOOK - key[0], key[2]))
            known[key] = two_arm.log_increments(arms, 0.0, bets)
        increments[index] = known[key]
    rolled_back = (rollback_looks(increments) < LOOKS).mean()
    assert least <= rolled_back <= most


def test_conversations_without_an_id_raise_few_false_verdicts():
    """Five turns share their fate; the harm is the margin. Undivided, most would be promoted or
    rolled back, and a first guess of two lets a tenth be promoted."""
    rollouts, looks, turns = 300, 120, 5
    rng = np.random.default_rng(11)
    chances = [0.005, 0.99 - MARGIN, 0.005 + MARGIN]
    counts = turns * rng.multinomial(PER_LOOK // turns, chances, size=(rollouts, looks))
    won = {
        direction: exact.log_increments(
            counts, exact.PAIRED_VALUES, MARGIN, signed_bets(direction, MARGIN)
        )
        for direction in ("rollback", "promotion")
    }
    rolled_back = promoted = 0
    for rollout in range(rollouts):
        rollback, promotion = RestartedWealth(), Wealth.begin(won["promotion"].shape[-1])
        overdispersion, top = Overdispersion(), [0, 0]
        for look, (better, _, worse) in enumerate(counts[rollout].tolist()):
            factor = overdispersion.factor
            rollback = rollback.after(won["rollback"][rollout, look], factor)
            promotion = promotion.after(won["promotion"][rollout, look], factor)
            top[0] = max(top[0], rollback.log_evidence)
            top[1] = max(top[1], promotion.log_evidence)
            mean = (worse - better) / PER_LOOK
            variance = (worse + better) / PER_LOOK - mean**2
            overdispersion = overdispersion.after_window(PER_LOOK, worse - better, variance)
        rolled_back += top[0] >= np.log(100.0)
        promoted += top[1] >= np.log(20.0)
    assert rolled_back / rollouts <= 0.02
    assert promoted / rollouts <= 0.06
