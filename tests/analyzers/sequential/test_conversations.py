"""The design effect of named conversations, against conversations that were drawn."""

import numpy as np
import pytest

from understudy.analyzers.sequential import conversations
from understudy.analyzers.sequential.conversations import (
    FIELDS,
    IMAGINARY_PAIRS,
    correlation,
    design_effect,
    mixed,
    of_arms,
    pairs_of_values,
)


def sums(outcomes):
    """Sums over conversations, each an array of its turns' outcomes, every pair within reach."""
    total = dict.fromkeys(FIELDS, 0.0)
    for x in outcomes:
        pairs = np.triu(np.ones((x.size, x.size)), 1) > 0
        total["requests"] += x.size
        total["first"] += 1
        total["earlier"] += x.size * (x.size - 1) / 2
        total["pairs"] += pairs.sum()
        total["sums"] += np.add.outer(x, x)[pairs].sum()
        total["products"] += np.multiply.outer(x, x)[pairs].sum()
        total["units"] += x.size
        total["total"] += x.sum()
        total["squares"] += (x**2).sum()
    return np.array([total[name] for name in FIELDS])


def drawn(rng, conversations, turns, bad, of_turns=1.0):
    """Conversations of which a share is bad, in which a share of turns fails."""
    fails = rng.random(conversations) < bad
    return [fate * (rng.random(turns) < of_turns).astype(float) for fate in fails]


def test_single_turns_are_independent_before_anything_was_seen():
    nothing = np.zeros(len(FIELDS))
    assert design_effect(nothing, sums([np.zeros(1)] * 3)) == 1.0


def test_before_anything_was_learnt_a_conversation_counts_once():
    nothing = np.zeros(len(FIELDS))
    assert design_effect(nothing, sums([np.zeros(5)] * 3)) == pytest.approx(5.0)


def test_lengths_that_differ_count_by_their_squares():
    lengths = (1, 2, 9)
    expected = sum(n**2 for n in lengths) / sum(lengths)
    seen = sums([np.zeros(n) for n in lengths])
    assert design_effect(np.zeros(len(FIELDS)), seen) == pytest.approx(expected)


def test_a_shared_fate_stays_a_shared_fate():
    learnt = sums(drawn(np.random.default_rng(1), 4_000, 5, 0.05))
    assert design_effect(learnt, learnt) == pytest.approx(5.0, abs=0.01)


def test_half_a_shared_fate_is_learnt():
    learnt = sums(drawn(np.random.default_rng(1), 20_000, 5, 0.1, of_turns=0.5))
    # Of a bad conversation's turns half fail: covariance bad/4 - (bad/2)², variance bad/2 · ….
    rho = (0.1 * 0.25 - 0.05**2) / (0.05 * 0.95)
    assert float(correlation(learnt)) == pytest.approx(rho, abs=0.02)
    assert float(correlation(learnt)) > rho
    assert design_effect(learnt, learnt) == pytest.approx(1 + 4 * rho, abs=0.1)


def test_unrelated_turns_are_learnt_from_above():
    rng = np.random.default_rng(1)
    learnt = [sums(drawn(rng, n, 5, 1.0, of_turns=0.02)) for n in (10, 100, 1_000, 10_000)]
    effects = [float(design_effect(one, one)) for one in learnt]
    assert effects == sorted(effects, reverse=True)
    assert effects[0] > 4.0
    assert effects[-1] == pytest.approx(1.0, abs=0.1)
    assert min(effects) >= 1.0


def test_without_any_failure_nothing_is_known_of_how_turns_fail():
    learnt = sums([np.zeros(5)] * 1_000)
    assert correlation(learnt) == 1.0
    assert correlation(learnt, 0.2) == 0.2


def test_a_slice_begins_with_what_all_requests_have_shown():
    rng = np.random.default_rng(1)
    few = sums(drawn(rng, 20, 5, 0.5, of_turns=0.1))
    assert float(correlation(few, 0.1)) < 0.3 < 0.7 < float(correlation(few))


def test_opposite_outcomes_never_make_requests_more_than_independent():
    alternating = np.array([1.0, -1.0, 1.0, -1.0])
    learnt = sums([alternating] * 5_000)
    assert design_effect(learnt, learnt) == 1.0


def test_values_are_told_by_the_same_sums():
    rng = np.random.default_rng(1)
    conversations_ = [rng.standard_normal() + 2 + rng.standard_normal(4) for _ in range(5_000)]
    learnt = sums(conversations_)
    assert float(correlation(learnt, yes_or_no=False)) == pytest.approx(0.5, abs=0.1)
    assert float(correlation(learnt, yes_or_no=False)) > 0.5


def test_a_shift_of_all_values_changes_nothing():
    rng = np.random.default_rng(1)
    values = [rng.standard_normal() + rng.standard_normal(4) for _ in range(1_000)]
    shifted = [x + 3.0 for x in values]
    first, second = (correlation(sums(x), yes_or_no=False) for x in (values, shifted))
    assert first == pytest.approx(second)


def test_sums_add_up():
    rng = np.random.default_rng(1)
    turns = drawn(rng, 100, 5, 0.3)
    assert sums(turns) == pytest.approx(sums(turns[:40]) + sums(turns[40:]))


def test_all_slices_at_once():
    learnt = np.stack([sums(drawn(np.random.default_rng(i), 300, 3 + i, 0.2)) for i in range(3)])
    together = design_effect(learnt, learnt, np.array([1.0, 0.5, 0.2]))
    alone = [
        design_effect(one, one, prior) for one, prior in zip(learnt, (1.0, 0.5, 0.2), strict=True)
    ]
    assert together.tolist() == alone


def test_nobody_names_a_conversation():
    nothing = np.zeros(len(FIELDS))
    named = design_effect(nothing, nothing)
    assert np.isnan(named)
    assert mixed(np.array(0.0), named, np.array(3.0)) == 3.0


def test_half_of_the_requests_name_their_conversation():
    half = mixed(np.array(0.5), np.array(1.0), np.array(3.0))
    assert half == 2.0
    assert mixed(np.array(1.0), np.array(1.4), np.array(9.0)) == 1.4


def test_the_smaller_arm_decides():
    effect = of_arms(np.array(5.0), np.array(1.0), np.array(50.0), np.array(950.0))
    assert effect == pytest.approx(0.95 * 5 + 0.05)
    assert of_arms(np.array(2.0), np.array(3.0), np.array(0.0), np.array(9.0)) == 3.0


def test_two_arms_vary_as_much_as_the_effect_says():
    rng = np.random.default_rng(1)
    p, rollouts = 0.05, 4_000
    candidate = 5 * rng.binomial(20, p, rollouts)  # a hundred requests in twenty conversations
    stable = 2 * rng.binomial(200, p, rollouts)
    difference = candidate / 100 - stable / 400
    independent = p * (1 - p) * (1 / 100 + 1 / 400)
    effect = of_arms(np.array(5.0), np.array(2.0), np.array(100.0), np.array(400.0))
    assert difference.var() / independent == pytest.approx(float(effect), rel=0.06)


def test_products_of_values_of_both_sides():
    rng = np.random.default_rng(1)
    c, s, factor = rng.random(2), rng.random(2), 1.1
    x = c - factor * s
    got = pairs_of_values(factor, factor**2, c[0] * c[1], s[0] * s[1], c[0] * s[1] + s[0] * c[1])
    assert got == pytest.approx(x[0] * x[1])


def test_imaginary_pairs_weigh_like_real_ones():
    learnt = sums(drawn(np.random.default_rng(1), 10_000, 2, 1.0, of_turns=0.5))
    pairs = learnt[FIELDS.index("pairs")]
    without_doubt = IMAGINARY_PAIRS / (IMAGINARY_PAIRS + pairs)
    doubt = conversations.DOUBT / np.sqrt(pairs)
    assert float(correlation(learnt)) == pytest.approx(without_doubt + doubt, abs=0.02)
