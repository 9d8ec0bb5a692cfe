"""How many requests count like one: by named turns, by blocks of time, by what the policy says."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.guardrails.test_stacked_effects import (
    after_window,
    divisors,
    unnamed_factor,
)
from understudy.analyzers.guardrails.design_effect import (
    CANDIDATE,
    PAIRED,
    PARTIES,
    STABLE,
    TURN_FIELDS,
    Assumption,
    DesignEffect,
    TurnSums,
)
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.sequential import blocks
from understudy.analyzers.sequential.bets import FloatArray

TEST = BinaryTest(margin=0.01)
SLICES = ["all", "language:ja"]
NOTHING_SAID = Assumption(is_independent=False, turns_per_conversation=None)
WINDOW_MS = 10_000


def statistics(test: AnyTest = TEST, **sums: float) -> FloatArray:
    named = dict.fromkeys(test.fields, 0.0) | sums
    return np.array([list(named.values())] * len(SLICES))


def turns(party: int, judged: float, **sums: float) -> TurnSums:
    """Sums of one window, alike in both slices."""
    found = np.zeros((len(SLICES), PARTIES, len(TURN_FIELDS)))
    for name, value in sums.items():
        found[:, party, TURN_FIELDS.index(name)] = value
    counts = np.zeros((len(SLICES), PARTIES))
    counts[:, party] = judged
    return TurnSums(found, counts)


def now(known: DesignEffect, seen: TurnSums, assumption: Assumption = NOTHING_SAID) -> FloatArray:
    return divisors(TEST, known, seen.of_one(), assumption)[0]


def test_single_turns_that_are_named_are_divided_by_one_from_the_first_window_on() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    assert now(known, turns(PAIRED, 200, requests=200, first=200)).tolist() == [1.0, 1.0]


def test_conversations_are_taken_to_be_alike_until_they_have_shown_otherwise() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    seen = turns(PAIRED, 200, requests=200, first=40, earlier=400, pairs=400)
    assert now(known, seen).tolist() == [5.0, 5.0], "1 + 2 · mean(turn − 1)"
    one = statistics(pairs=200.0, candidate_only_rollback=4.0, stable_only_rollback=4.0)
    for number in range(60):
        known = after_window(TEST, known, number * WINDOW_MS, one, one[0], seen)
    assert now(known, seen) == pytest.approx([1.1, 1.1], abs=0.1), "no two failed together"


def test_arms_are_judged_by_their_own_turns_the_smaller_one_more() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    candidate = turns(CANDIDATE, 10, requests=10, first=2, earlier=20)
    stable = turns(STABLE, 190, requests=190, first=190)
    both = TurnSums(candidate.turns + stable.turns, candidate.requests + stable.requests)
    assert now(known, both) == pytest.approx([(5.0 * 190 + 1.0 * 10) / 200] * 2)
    limit = LimitTest(0.02)
    alone = divisors(limit, DesignEffect.begin(limit, SLICES), both.of_one(), NOTHING_SAID)
    assert alone.tolist() == [[5.0, 5.0]]


def test_a_canary_after_shadow_traffic_is_judged_by_its_arms() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    one = statistics(pairs=200.0, candidate_only_rollback=4.0, stable_only_rollback=4.0)
    single = turns(PAIRED, 200, requests=200, first=200)
    for number in range(20):
        known = after_window(TEST, known, number * WINDOW_MS, one, one[0], single)
    candidate = turns(CANDIDATE, 100, requests=100, first=20, earlier=200)
    stable = turns(STABLE, 100, requests=100, first=20, earlier=200)
    both = TurnSums(candidate.turns + stable.turns, candidate.requests + stable.requests)
    assert now(known, both) == pytest.approx([5.0, 5.0])
    assert now(known, single).tolist() == [1.0, 1.0]


def test_what_is_not_named_is_judged_by_blocks_as_far_as_its_share_goes() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    first = float(blocks.factor(known.harm_blocks))
    assert now(known, turns(PAIRED, 200)).tolist() == [first, first]
    half = turns(PAIRED, 200, requests=100, first=100)
    assert now(known, half).tolist() == pytest.approx([0.5 + 0.5 * first] * 2)


def test_the_policy_may_say_how_requests_are_related() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    assert now(known, turns(PAIRED, 9), Assumption(True, None)).tolist() == [1.0, 1.0]
    assert now(known, turns(PAIRED, 9), Assumption(False, 3.0)).tolist() == [3.0, 3.0]


def test_blocks_are_learnt_downwards_from_independent_requests() -> None:
    rng = np.random.default_rng(1)
    known = DesignEffect.begin(TEST, SLICES)
    for number in range(1_000):
        bad = rng.binomial(200, 0.05, 2)
        one = statistics(pairs=200.0, candidate_only_rollback=bad[0], stable_only_rollback=bad[1])
        known = after_window(TEST, known, number * WINDOW_MS, one, one[0], turns(PAIRED, 200))
    assert unnamed_factor(known, NOTHING_SAID) < 2.5


def test_a_few_requests_a_window_are_learnt_from_as_well() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    for number in range(4_000):
        one = statistics(pairs=1.0, candidate_only_rollback=float(number % 7 == 0))
        known = after_window(TEST, known, number * WINDOW_MS, one, one[0], turns(PAIRED, 1))
    assert unnamed_factor(known, NOTHING_SAID) < 2.0


def test_requests_in_fives_count_a_fifth() -> None:
    test = BinaryTest(margin=0.0)
    rng = np.random.default_rng(3)
    known = DesignEffect.begin(test, SLICES)
    for number in range(2_000):
        failed = {"candidate": 5.0 * rng.binomial(8, 0.1), "stable": 5.0 * rng.binomial(32, 0.1)}
        bad = {f"{arm}_bad_rollback": units for arm, units in failed.items()}
        one = statistics(test, candidate_units=40.0, stable_units=160.0, **bad)
        known = after_window(test, known, number * WINDOW_MS, one, one[0], turns(STABLE, 200))
    assert unnamed_factor(known, NOTHING_SAID) == pytest.approx(5.0, rel=0.25)


def test_values_are_as_alike_as_their_products_say() -> None:
    test = MeanTest(factor=1.1, relative=True)
    known = DesignEffect.begin(test, SLICES)
    rng = np.random.default_rng(2)
    seen = turns(PAIRED, 100, requests=100, first=20, earlier=200, pairs=200)
    for number in range(60):
        candidate, stable = rng.gamma(4.0, 1.0, (2, 100))
        one = statistics(
            test, pairs=100.0, paired_candidate=candidate.sum(), paired_stable=stable.sum(),
            paired_candidate_squares=(candidate**2).sum(), paired_stable_squares=(stable**2).sum(),
            paired_products=(candidate * stable).sum(),
        )  # fmt: skip
        mean = (candidate - 1.1 * stable).mean()
        seen = turns(PAIRED, 100, requests=100, first=20, earlier=200, pairs=200,
                     sums=400 * mean, products=200 * mean**2)  # fmt: skip
        known = after_window(test, known, number * WINDOW_MS, one, one[0], seen)
    effect = divisors(test, known, seen.of_one(), NOTHING_SAID)[0]
    assert effect == pytest.approx([1.2, 1.2], abs=0.2)


def test_a_slice_that_turns_up_takes_over_what_all_requests_have_shown() -> None:
    known = DesignEffect.begin(TEST, ["all"])
    one = statistics(pairs=200.0, candidate_only_rollback=4.0, stable_only_rollback=4.0)
    seen = turns(PAIRED, 200, requests=200, first=40, earlier=400, pairs=400)
    of_all = TurnSums(seen.turns[:1], seen.requests[:1])
    for number in range(60):
        known = after_window(TEST, known, number * WINDOW_MS, one[:1], one[0], of_all)
    known = known.covering(SLICES)
    assert now(known, seen) == pytest.approx([1.1, 1.1], abs=0.15)


def test_many_windows_at_once_are_divided_as_one_by_one() -> None:
    known = DesignEffect.begin(TEST, SLICES)
    windows = [turns(PAIRED, 9, requests=9, first=9 - n, earlier=4.0 * n) for n in range(5)]
    together = TurnSums(*(np.stack(parts) for parts in zip(*windows, strict=True)))
    effect = divisors(TEST, known, together, NOTHING_SAID)
    assert effect.shape == (5, 2)
    assert divisors(TEST, known, together.with_none_after(), NOTHING_SAID)[-1].tolist() == (
        effect[-1].tolist()
    )
    assert (
        effect[0].tolist() == divisors(TEST, known, windows[0].of_one(), NOTHING_SAID)[0].tolist()
    )
