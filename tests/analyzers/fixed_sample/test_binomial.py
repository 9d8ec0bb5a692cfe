from __future__ import annotations

import math

import pytest

from understudy.analyzers.fixed_sample import binomial


def direct(counts: range, trials: int, chance: float) -> float:
    return sum(math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in counts)


@pytest.mark.parametrize(("bad", "cases", "share"), [(0, 5, 0.1), (3, 20, 0.02), (20, 20, 0.9)])
def test_tails_are_sums_of_chances(bad: int, cases: int, share: float) -> None:
    assert binomial.at_least(bad, cases, share) == pytest.approx(
        direct(range(bad, cases + 1), cases, share), rel=1e-10
    )
    assert binomial.at_most(bad, cases, share) == pytest.approx(
        direct(range(bad + 1), cases, share), rel=1e-10
    )


def test_shares_at_the_ends_are_certain() -> None:
    assert binomial.at_least(1, 10, 0.0) == 0.0
    assert binomial.at_least(10, 10, 1.0) == 1.0
    assert binomial.at_most(9, 10, 1.0) == 0.0


def test_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = binomial.interval(0, 200, 0.05)
    assert (low, high) == (0.0, pytest.approx(1.0 - 0.025 ** (1 / 200), rel=1e-9))
    low, high = binomial.interval(4, 20, 0.05)
    assert (low, high) == (pytest.approx(0.0573, abs=1e-4), pytest.approx(0.4366, abs=1e-4))
    assert binomial.interval(0, 0, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize(("bad", "cases"), [(0, 50), (3, 200), (1_500, 5_000), (50, 50)])
def test_interval_of_chernoff_holds_the_exact_one(bad: int, cases: int) -> None:
    exact, wide = binomial.interval(bad, cases, 1e-4), binomial.chernoff_interval(bad, cases, 1e-4)
    assert wide[0] <= exact[0] + 1e-12
    assert wide[1] >= exact[1] - 1e-12
