"""Each kind of test: what waits, what is won, what is observed, and where the harm lies."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.sequential_tests import (
    UNBOUNDED,
    BinaryTest,
    IntervalSums,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.guardrails.statistics import (
    BinaryStatistics,
    LimitStatistics,
    MeanStatistics,
)
from understudy.analyzers.sequential import Arm, Arms, Scale, exact, signed_bets, two_arm

PAIRS = BinaryStatistics(pairs=400, stable_only=4, candidate_only=20)
ARMS = BinaryStatistics(0, 0, 0, 200, 20, 18, 300, 9)
NO_SCALE = Scale()


def paired_means(candidate: list[int], stable: list[int]) -> MeanStatistics:
    c, s = np.array(candidate), np.array(stable)
    sums = (c.sum(), s.sum(), (c**2).sum(), (c * s).sum(), (s**2).sum())
    return MeanStatistics(len(c), *map(int, sums))


def test_one_arm_waits_for_the_other() -> None:
    test = BinaryTest(0.01)
    lonely = BinaryStatistics(10, 1, 2, candidate_units=5, candidate_bad_rollback=1)
    ready, waiting = test.split(lonely)
    assert ready == BinaryStatistics(10, 1, 2)
    assert waiting == BinaryStatistics(candidate_units=5, candidate_bad_rollback=1)
    assert test.split(ARMS) == (ARMS, BinaryStatistics())


def test_means_of_arms_wait_until_a_variance_can_be_estimated() -> None:
    test = MeanTest(tick=0.1)
    few = MeanStatistics(candidate_units=19, candidate_total=9, stable_units=40, stable_total=20)
    assert test.split(few) == (MeanStatistics(), few)
    enough = few + MeanStatistics(candidate_units=1)
    assert test.split(enough) == (enough, MeanStatistics())


def test_limits_never_wait() -> None:
    some = LimitStatistics(5, 1, 1)
    assert LimitTest(0.1).split(some) == (some, LimitStatistics())


def test_pairs_win_what_the_exact_test_says() -> None:
    bets = signed_bets("rollback", 0.01)
    counts = exact.paired_counts(400, 4, 20)
    expected = exact.log_increments(counts, exact.PAIRED_VALUES, 0.01, bets)
    assert BinaryTest(0.01).increments(PAIRS, "rollback", NO_SCALE).tolist() == expected.tolist()


@pytest.mark.parametrize(("direction", "bad"), [("rollback", 20), ("promotion", 18)])
def test_arms_count_what_is_bad_for_each_direction(direction: str, bad: int) -> None:
    bets = signed_bets(direction, 0.01)  # type: ignore[arg-type]
    expected = two_arm.log_increments(Arms(Arm(200, bad), Arm(300, 9)), 0.01, bets)
    won = BinaryTest(0.01).increments(ARMS, direction, NO_SCALE)  # type: ignore[arg-type]
    assert won == pytest.approx(expected)


def test_what_is_observed_of_a_yes_or_no() -> None:
    assert BinaryTest(0.0).observed(PAIRS) == (400, None, None, pytest.approx(0.04))
    assert BinaryTest(0.0).observed(ARMS) == (200, 0.1, 0.03, pytest.approx(0.07))
    assert BinaryTest(0.0).observed(BinaryStatistics()) == (0, None, None, None)
    assert LimitTest(0.1).observed(LimitStatistics(50, 5, 4)) == (50, 0.1, None, 0.1)


def test_what_is_observed_of_means() -> None:
    statistics = paired_means([30, 50], [20, 20])
    increase = MeanTest(0.1, factor=1.1, relative=True)
    assert increase.observed(statistics) == (2, 4.0, 2.0, pytest.approx(1.0))
    assert increase.margin == pytest.approx(0.1)
    drop = MeanTest(0.1, sign=-1.0, shift=-0.5)
    assert drop.observed(statistics) == (2, 4.0, 2.0, pytest.approx(-2.0))
    alone = MeanTest(0.1, factor=0.0, shift=3.0)
    assert alone.observed(statistics) == (2, 4.0, None, 4.0)


def test_harm_of_a_window_is_that_of_its_units() -> None:
    harm = BinaryTest(0.01).window_harm(PAIRS)
    units = np.repeat([-1.0, 0.0, 1.0], [4, 376, 20])
    assert harm == pytest.approx((400, units.sum(), units.var(ddof=1)))
    assert BinaryTest(0.01).window_harm(BinaryStatistics(pairs=1)) is None
    values = np.array([30, 50, 10]) * 0.1 - 1.1 * np.array([20, 20, 40]) * 0.1
    of_means = MeanTest(0.1, factor=1.1).window_harm(paired_means([30, 50, 10], [20, 20, 40]))
    assert of_means == pytest.approx((3, values.sum(), values.var(ddof=1)))


def test_intervals_hold_what_was_observed() -> None:
    for test, statistics in ((BinaryTest(0.01), PAIRS), (BinaryTest(0.01), ARMS)):
        low, high = test.interval(statistics, IntervalSums(), NO_SCALE, 0.05)
        harm = test.observed(statistics).harm
        assert harm is not None
        assert low < harm < high
    nothing = BinaryTest(0.01).interval(BinaryStatistics(), IntervalSums(), NO_SCALE, 0.05)
    assert nothing == UNBOUNDED
    low, high = LimitTest(0.1).interval(LimitStatistics(50, 5, 5), IntervalSums(), NO_SCALE, 0.05)
    assert 0.0 <= low < 0.1 < high <= 1.0


def test_the_interval_of_a_mean_counts_from_zero_and_begins_with_the_scale() -> None:
    test = MeanTest(0.1, factor=1.1, relative=True)
    statistics = paired_means([30, 50, 10], [20, 20, 40])
    assert test.interval_sums(statistics, NO_SCALE, IntervalSums()) == IntervalSums()
    sums = test.interval_sums(statistics, Scale(prior=4.0), IntervalSums())
    assert sums.harm == pytest.approx(0.1 * (90 - 80))
    assert sums.weight == pytest.approx(8.0)
