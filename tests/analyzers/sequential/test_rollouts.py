"""Whole rollouts, simulated: how often verdicts are false, how often and how soon they are right.

A short version of benchmarks/verdicts.py with a fixed seed; the bounds leave room for its size.
"""

import numpy as np
import pytest

from understudy.analyzers.sequential import blocks, conversations, exact, two_arm
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


def clustered(turns, rollouts=300, looks=120):
    """Counts of conversations whose turns share their fate within a window; harm at the margin."""
    chances = [0.005, 0.99 - MARGIN, 0.005 + MARGIN]
    rng = np.random.default_rng(11)
    return turns * rng.multinomial(PER_LOOK // turns, chances, size=(rollouts, looks))


def verdicts(counts, divisor):
    """Shares of rollouts that are rolled back, and promoted, by divisors (rollouts, looks)."""
    won = {
        direction: exact.log_increments(
            counts, exact.PAIRED_VALUES, MARGIN, signed_bets(direction, MARGIN)
        )
        / divisor[..., None]
        for direction in ("rollback", "promotion")
    }
    wealth = np.full(won["rollback"][:, 0].shape, -np.inf)
    rolled_back = np.zeros(len(counts), dtype=bool)
    for look in range(counts.shape[1]):
        wealth = restarted(wealth, won["rollback"][:, look], log_share(look))
        rolled_back |= log_evidence(wealth) >= np.log(100.0)
    shown = log_evidence(won["promotion"].cumsum(axis=1)) >= np.log(20.0)
    return rolled_back.mean(), shown.any(axis=1).mean()


def test_conversations_without_an_id_raise_few_false_verdicts():
    """Five turns share their fate; undivided, most would be promoted or rolled back."""
    counts = clustered(5)
    state, known = blocks.begin((len(counts),)), []
    for look in range(counts.shape[1]):
        known.append(blocks.factor(state))
        harm = counts[:, look, 2] - counts[:, look, 0]
        variance = (counts[:, look, 2] + counts[:, look, 0]) / PER_LOOK - (harm / PER_LOOK) ** 2
        units = np.full(len(counts), float(PER_LOOK))
        state = blocks.after(state, 10_000 * look, np.stack([units, harm, variance], axis=-1))
    rolled_back, promoted = verdicts(counts, np.stack(known, axis=1))
    assert rolled_back <= 0.01
    assert promoted <= 0.05
    undivided = verdicts(counts, np.ones(counts.shape[:2]))
    assert min(undivided) > 0.3


def test_conversations_with_ids_raise_few_false_verdicts():
    counts, turns = clustered(5), 5
    pairs_each = turns * (turns - 1) / 2
    harm, bad = counts[..., 2] - counts[..., 0], counts[..., 2] + counts[..., 0]
    names = {
        "requests": np.full(harm.shape, float(PER_LOOK)),
        "first": np.full(harm.shape, PER_LOOK / turns),
        "earlier": np.full(harm.shape, PER_LOOK * (turns - 1) / 2),
        "pairs": np.full(harm.shape, PER_LOOK / turns * pairs_each),
        "sums": harm * (turns - 1.0),
        "products": bad / turns * pairs_each,
        "units": np.full(harm.shape, float(PER_LOOK)),
        "total": harm * 1.0,
        "squares": bad * 1.0,
    }
    windows = np.stack([names[name] for name in conversations.FIELDS], axis=-1)
    seen = windows.cumsum(axis=1)
    rolled_back, promoted = verdicts(counts, conversations.design_effect(seen - windows, seen))
    assert rolled_back <= 0.01
    assert promoted <= 0.05
