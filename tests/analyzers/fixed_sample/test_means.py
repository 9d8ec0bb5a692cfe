from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.fixed_sample.means import FEWEST_FOR_WITHIN, NO_BASELINE, FixedMeanTest
from understudy.analyzers.guardrails.column_readers import MeanColumns
from understudy.analyzers.guardrails.sequential_tests import MeanTest

COST = MeanTest(factor=1.25, relative=True)


def pairs(stable: np.ndarray, candidate: np.ndarray) -> np.ndarray:
    ones = np.ones_like(stable)
    columns = MeanColumns(
        ones, candidate, stable, candidate**2, stable * candidate, stable**2,
        *[np.zeros_like(stable)] * 6,
    )  # fmt: skip
    return np.column_stack(columns)


def drawn(n: int, increase: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    stable = np.exp(0.8 * rng.standard_normal(n))
    return pairs(stable, stable * (1.0 + increase) * np.exp(0.2 * rng.standard_normal(n) - 0.02))


def test_an_increase_beyond_the_margin_is_found() -> None:
    test = FixedMeanTest.of(drawn(400, 0.6), COST)
    assert test.p_harm(1e-3) < 1e-3
    assert test.p_within(0.05) == 1.0
    low, high = test.interval(0.05)
    assert low < 0.6 < high


def test_alike_models_are_shown_to_be_within_it() -> None:
    test = FixedMeanTest.of(drawn(400, 0.0), COST)
    assert (test.note, test.margin) == ("", 0.25)
    assert test.p_within(0.05) < 0.01
    assert test.p_harm(1e-3) == 1.0
    smallest = test.smallest_harm_found(1e-3)
    assert smallest is not None
    assert 0.25 < smallest < 0.5


def test_it_takes_as_many_cases_as_show_what_is_rare() -> None:
    test = FixedMeanTest.of(drawn(FEWEST_FOR_WITHIN - 1, 0.0), COST)
    assert test.p_within(0.05) == 1.0
    assert "one in a hundred" in test.note
    assert test.cases_needed(0.05) == FEWEST_FOR_WITHIN


def test_a_mean_that_hangs_on_one_case_is_not_shown_to_be_small() -> None:
    stable = np.ones(1_000)
    candidate = np.random.default_rng(1).uniform(0.9, 1.1, 1_000)
    candidate[0] = 60.0
    test = FixedMeanTest.of(pairs(stable, candidate), COST)
    assert "from one case" in test.note
    assert test.p_within(0.05) == 1.0


def test_a_few_cases_show_nothing() -> None:
    assert not FixedMeanTest.of(drawn(29, 5.0), COST).is_testable


def test_without_any_spread_nothing_is_left_to_chance() -> None:
    """A flat price for each call."""
    stable = np.full(500, 0.1)
    same = FixedMeanTest.of(pairs(stable, stable), COST)
    assert (same.p_harm(0.01), same.p_within(0.05)) == (1.0, 0.0)
    assert same.interval(0.05) == pytest.approx((0.0, 0.0), abs=1e-9)
    dearer = FixedMeanTest.of(pairs(stable, 2.0 * stable), COST)
    assert (dearer.p_harm(0.01), dearer.p_within(0.05)) == (0.0, 1.0)


def test_limits_of_the_candidates_own_mean() -> None:
    own = MeanTest(factor=0.0, shift=2.0)
    costs = np.random.default_rng(1).uniform(0.5, 3.0, 500)
    units = pairs(costs, costs)
    test = FixedMeanTest.of(units, own)
    assert test.margin == 2.0
    assert test.p_within(0.05) < 0.05
    low, high = test.interval(0.05)
    assert low < units[:, MeanColumns._fields.index("paired_candidate")].mean() < high
    assert test.cases_needed(0.05) is None


def test_a_drop_counts_where_a_drop_is_limited() -> None:
    fewer_tokens = MeanTest(sign=-1.0, factor=0.8, relative=True)
    test = FixedMeanTest.of(drawn(400, -0.5), fewer_tokens)
    assert test.margin == pytest.approx(0.2)
    assert test.p_harm(1e-3) < 1e-3
    low, high = test.interval(0.05)
    assert low < 0.5 < high


def test_separate_arms_are_compared_by_the_difference_of_their_means() -> None:
    rng = np.random.default_rng(1)
    nothing, ones = np.zeros(400), np.ones(400)
    candidate, stable = rng.uniform(0.3, 0.5, 400), rng.uniform(0.1, 0.3, 400)
    units = np.column_stack(
        [*[nothing] * 6, ones, candidate, candidate**2, ones, stable, stable**2]
    )
    test = FixedMeanTest.of(units, MeanTest(shift=0.1))
    assert test.p_harm(1e-3) < 1e-3
    low, high = test.interval(0.05)
    assert low < 0.2 < high
    none = np.column_stack([*[nothing] * 6, ones, candidate, candidate**2, *[nothing] * 3])
    alone = FixedMeanTest.of(none, MeanTest(shift=0.1))
    assert not alone.is_testable
    assert alone.note == "there is no second run of stable to hold it against"


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
def test_false_verdicts_at_the_margin_are_rare(spread: float) -> None:
    """Log-normal costs, independent sides: what t alone gets wrong in up to a tenth of samples."""
    rng = np.random.default_rng(7)
    n_samples, wrong_within, wrong_harm = 300, 0, 0
    for _ in range(n_samples):
        stable = np.exp(0.5 * rng.standard_normal(400) - 0.125)
        candidate = 1.25 * np.exp(spread * rng.standard_normal(400) - spread**2 / 2)
        test = FixedMeanTest.of(pairs(stable, candidate), COST)
        wrong_within += test.p_within(0.05) <= 0.05
        wrong_harm += test.p_harm(0.01) <= 0.01
    assert wrong_within / n_samples <= 0.07
    assert wrong_harm / n_samples <= 0.03


def test_a_share_of_0_cannot_be_judged() -> None:
    costs = np.random.default_rng(1).lognormal(0.0, 1.0, 400)
    test = FixedMeanTest.of(pairs(np.zeros(400), costs), COST)
    assert not test.is_testable
    assert test.note == NO_BASELINE
    assert (test.p_harm(0.01), test.p_within(0.05)) == (1.0, 1.0)
    assert FixedMeanTest.of(pairs(np.zeros(400), costs), MeanTest(shift=0.1)).is_testable
