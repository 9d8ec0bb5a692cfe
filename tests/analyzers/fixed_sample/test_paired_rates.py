from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from understudy.analyzers.fixed_sample.binomial import at_least
from understudy.analyzers.fixed_sample.paired_rates import (
    PairCounts,
    PairedRateTest,
    interval,
    p_harm,
    p_within,
    pairs_needed,
    score,
    smallest_harm_found,
)
from understudy.analyzers.guardrails.column_readers import BinaryColumns


def by_unit(*units: tuple[int, int, int]) -> np.ndarray:
    """Pairs, bad on stable's side alone, on the candidate's alone."""
    columns = [
        BinaryColumns(*map(np.float64, (n, b, c, 0, b, c, 0, *[0] * 6))) for n, b, c in units
    ]
    return np.array(columns)


def chance_of(n: int, b: int, c: int, stable: float, candidate: float) -> float:
    ways = math.comb(n, b) * math.comb(n - b, c)
    return ways * stable**b * candidate**c * (1.0 - stable - candidate) ** (n - b - c)


@pytest.mark.parametrize(("n", "margin", "threshold"), [(30, 0.02, 0.01), (40, 0.05, 0.05)])
def test_false_rejections_at_the_margin_are_at_most_the_threshold(
    n: int, margin: float, threshold: float
) -> None:
    """Summed over all samples there are, for several rates at which the sides disagree."""

    @cache
    def found(b: int, c: int) -> tuple[bool, bool]:
        counts = PairCounts(n, b, c)
        return (
            p_harm(counts, margin, threshold) <= threshold,
            p_within(counts, margin, threshold) <= threshold,
        )

    for stable in (0.001, 0.03, 0.1, 0.3):
        samples = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
        likely = [
            (one, chance) for one in samples
            if (chance := chance_of(n, *one, stable, stable + margin)) > 1e-9
        ]  # fmt: skip
        harm = sum(chance for one, chance in likely if found(*one)[0])
        within = sum(chance for one, chance in likely if found(*one)[1])
        assert max(harm, within) <= threshold + 1e-6


def test_conditioning_as_at_margin_0_would_be_false_beyond_it() -> None:
    """At a margin of two points, 2 000 pairs at the margin with one disagreement in 25."""
    counts = PairCounts(2_000, 20, 60)
    assert at_least(60, 80, 0.5) < 1e-5
    assert p_harm(counts, 0.02, 0.01) > 0.4


def test_broken_answers_in_a_tenth_of_two_hundred_cases_are_found() -> None:
    assert p_harm(PairCounts(200, 0, 20), 0.01, 1e-4) < 1e-4
    assert p_harm(PairCounts(200, 2, 20), 0.01, 5e-4) < 5e-4


def test_nothing_is_shown_without_cases_or_in_the_other_direction() -> None:
    assert p_harm(PairCounts(0, 0, 0), 0.01, 0.01) == 1.0
    assert p_harm(PairCounts(100, 5, 5), 0.01, 0.01) == 1.0
    assert p_within(PairCounts(100, 0, 5), 0.01, 0.05) == 1.0


def test_within_takes_three_hundred_good_pairs_at_a_margin_of_one_point() -> None:
    assert p_within(PairCounts(300, 0, 0), 0.01, 0.05) == pytest.approx(0.99**300, abs=1e-4)
    assert p_within(PairCounts(290, 0, 0), 0.01, 0.05) > 0.05


def test_many_pairs_are_tested_by_the_score_alone() -> None:
    counts = PairCounts(200_000, 30_000, 33_000)
    assert p_harm(counts, 0.01, 0.001) == pytest.approx(
        0.5 * math.erfc(score(counts, 0.01) / math.sqrt(2.0)), abs=2e-6
    )


def test_interval_is_tangos() -> None:
    """His example of a crossover trial: 43 and 1 of 44 pairs that agree, none and 1 that don't."""
    low, high = interval(PairCounts(44, 0, 1), 0.05)
    assert (low, high) == (pytest.approx(-0.0594, abs=2e-3), pytest.approx(0.118, abs=3e-3))
    assert interval(PairCounts(0, 0, 0), 0.05) == (-1.0, 1.0)


@pytest.mark.parametrize("counts", [PairCounts(200, 0, 3), PairCounts(200, 10, 12)])
def test_smallest_harm_is_the_first_that_is_found(counts: PairCounts) -> None:
    smallest = smallest_harm_found(counts, 0.01, 1e-3)
    assert smallest is not None
    bad = round(smallest * counts.pairs) + counts.stable_only
    assert p_harm(counts._replace(candidate_only=bad), 0.01, 1e-3) <= 1e-3
    assert p_harm(counts._replace(candidate_only=bad - 1), 0.01, 1e-3) > 1e-3


def test_no_harm_is_found_in_five_pairs() -> None:
    assert smallest_harm_found(PairCounts(5, 0, 0), 0.01, 1e-12) is None


def test_pairs_needed_grow_with_the_disagreement() -> None:
    assert pairs_needed(PairCounts(200, 0, 0), 0.01, 0.05, 0.8) == 310
    assert pairs_needed(PairCounts(200, 5, 5), 0.01, 0.05, 0.8) == pytest.approx(3_091, abs=2)
    assert pairs_needed(PairCounts(200, 5, 5), 0.0, 0.05, 0.8) is None


def test_units_of_one_case_are_counted_as_they_are() -> None:
    units = by_unit(*[(1, 0, 1)] * 20, *[(1, 1, 0)] * 2, *[(1, 0, 0)] * 178)
    test = PairedRateTest.of(units, 0.01)
    assert (test.cases, test.design_effect) == (200, 1.0)
    assert test.for_harm == test.for_within == PairCounts(200, 2, 20)
    assert test.is_testable


def test_conversations_of_one_fate_are_counted_once() -> None:
    test = PairedRateTest.of(by_unit(*[(5, 0, 5)] * 4, *[(5, 0, 0)] * 36), 0.01)
    assert test.design_effect == pytest.approx(5.0, rel=0.05)
    assert test.for_harm.pairs == 40
    assert test.for_harm.candidate_only == 4
    assert test.p_harm(1e-3) > p_harm(PairCounts(200, 0, 20), 0.01, 1e-3)
    assert test.cases_needed(0.05) is not None
