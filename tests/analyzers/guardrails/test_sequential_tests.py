"""Each kind of test: what waits, what is won, what is observed, and where the harm lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from understudy.analyzers.guardrails.column_readers import (
    BinaryColumns,
    MeanColumns,
    stacked,
)
from understudy.analyzers.guardrails.sequential_tests import (
    MEAN_ARM_UNITS,
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
    carried,
    no_scale,
)
from understudy.analyzers.sequential import signed_bets, two_arm_cells
from understudy.analyzers.sequential.bets import FloatArray, log_evidence
from understudy.analyzers.sequential.unbounded import CALIBRATION_UNITS, PRIOR_UNITS, STAKES

NO_SCALE = np.zeros(3)
DIRECTIONS = ("rollback", "promotion")


def pairs(n: int, stable_only: int, candidate_only: int, both: int = 0) -> FloatArray:
    alone = (stable_only, candidate_only, both)
    return _array(BinaryColumns(*map(np.float64, (n, *alone, *alone))))


def arms(candidate: int, candidate_bad: int, stable: int, stable_bad: int) -> FloatArray:
    counts = (candidate, candidate_bad, candidate_bad, stable, stable_bad, stable_bad)
    return _array(BinaryColumns(*([np.float64(0)] * 7), *map(np.float64, counts)))


def paired_means(candidate: Any, stable: Any) -> FloatArray:
    c, s = np.asarray(candidate, float), np.asarray(stable, float)
    sums = (c.sum(), s.sum(), (c**2).sum(), (c * s).sum(), (s**2).sum())
    return _array(MeanColumns(np.float64(c.size), *sums))


def mean_arms(candidate: Any, stable: Any) -> FloatArray:
    c, s = np.asarray(candidate, float), np.asarray(stable, float)
    sums = (c.size, c.sum(), (c**2).sum(), s.size, s.sum(), (s**2).sum())
    return _array(MeanColumns(*([np.float64(0)] * 6), *map(np.float64, sums)))


def limit(units: int, bad_rollback: int, bad_promotion: int) -> FloatArray:
    return np.array([units, bad_rollback, bad_promotion], dtype=float)


def _array(columns: BinaryColumns | MeanColumns) -> FloatArray:
    return stacked(columns, ())


PAIRS, ARMS = pairs(400, 4, 20, 3), arms(200, 20, 300, 9)

# What waits


def test_one_arm_waits_for_the_other_and_pairs_do_not() -> None:
    lonely = pairs(10, 1, 2) + arms(5, 1, 0, 0)
    ready, waiting = BinaryTest(0.01).split(np.stack([lonely, ARMS]))
    assert ready.tolist() == [pairs(10, 1, 2).tolist(), ARMS.tolist()]
    assert waiting.tolist() == [arms(5, 1, 0, 0).tolist(), np.zeros(13).tolist()]


def test_means_of_arms_wait_until_a_variance_can_be_estimated() -> None:
    few, enough = mean_arms([1.0] * 19, [1.0] * 40), mean_arms([1.0] * 20, [1.0] * 40)
    ready, waiting = MeanTest().split(np.stack([few, enough]))
    assert ready.tolist() == [np.zeros(12).tolist(), enough.tolist()]
    assert waiting.tolist() == [few.tolist(), np.zeros(12).tolist()]


def test_limits_never_wait() -> None:
    some = limit(5, 1, 1)
    ready, waiting = LimitTest(0.1).split(some)
    assert ready.tolist() == some.tolist()
    assert not waiting.any()


def test_what_waits_is_carried_into_the_batch_that_has_both_arms() -> None:
    """Of two slices, one has both arms in each window, the other in the third only."""
    test = BinaryTest(0.01)
    lonely = np.stack([arms(5, 1, 0, 0), arms(4, 0, 0, 0), arms(0, 0, 9, 2), arms(1, 1, 0, 0)])
    statistics = np.stack([np.stack([ARMS] * 4), lonely], axis=1)
    ready, waiting = carried(test, statistics, np.stack([np.zeros(13), arms(2, 2, 0, 0)]))
    assert ready[:, 0].tolist() == [ARMS.tolist()] * 4
    assert ready[:, 1].tolist() == [[0] * 13, [0] * 13, arms(11, 3, 9, 2).tolist(), [0] * 13]
    left = [arms(7, 3, 0, 0), arms(11, 3, 0, 0), np.zeros(13), arms(1, 1, 0, 0)]
    assert waiting[:, 1].tolist() == [one.tolist() for one in left]
    assert not waiting[:, 0].any()


def test_nothing_is_carried_where_nothing_waits() -> None:
    statistics = np.stack([PAIRS, PAIRS])
    ready, waiting = carried(BinaryTest(0.01), statistics, np.zeros(13))
    assert ready.tolist() == statistics.tolist()
    assert not waiting.any()


# What is won


def test_pairs_win_the_product_of_their_payoffs() -> None:
    bets = signed_bets("rollback", 0.01)
    harms = np.repeat([-1.0, 0.0, 1.0, 0.0], [4, 373, 20, 3])
    wanted = np.log1p(np.outer(harms - 0.01, bets)).sum(axis=0)
    assert BinaryTest(0.01).increments(PAIRS, "rollback", NO_SCALE) == pytest.approx(wanted)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_relative_limit_counts_stables_failures_so_many_times(direction: Any) -> None:
    """Harm is c - 3 s: 1, 0, -3 and, where both fail, -2; the margin is the floor."""
    test = BinaryTest(0.001, ratio=3.0)
    bets = signed_bets(direction, 0.001, low=-3.0)
    harms = np.repeat([-3.0, 0.0, 1.0, -2.0], [4, 373, 20, 3])
    wanted = np.log1p(np.outer(harms - 0.001, bets)).sum(axis=0)
    assert test.increments(PAIRS, direction, NO_SCALE) == pytest.approx(wanted)
    assert np.all(np.log1p(np.outer([-3.001, 0.999], bets)) >= math.log(0.0099))


@pytest.mark.parametrize("ratio", [1.0, 3.0])
def test_evidence_of_pairs_is_fair_at_the_margin(ratio: float) -> None:
    """All outcomes of three pairs, by rates that lie just at the limit, one after the other."""
    stable_rate, floor = 0.02, 0.03
    rate = ratio * stable_rate + floor
    chances = {
        (0, 0): (1 - rate) * (1 - stable_rate),
        (1, 0): rate * (1 - stable_rate),
        (0, 1): (1 - rate) * stable_rate,
        (1, 1): rate * stable_rate,
    }
    units = np.stack([pairs(1, s and not c, c and not s, c and s) for c, s in chances])
    weights = np.array(list(chances.values()))
    joint = np.einsum("i,j,k->ijk", weights, weights, weights)
    sums = units[:, None, None] + units[None, :, None] + units[None, None, :]
    for direction in DIRECTIONS:
        won = BinaryTest(floor, ratio).increments(sums, direction, NO_SCALE)  # type: ignore[arg-type]
        assert np.sum(joint * np.exp(log_evidence(won))) == pytest.approx(1.0)


@pytest.mark.parametrize("test", [BinaryTest(0.01), LimitTest(0.01)], ids=["binary", "limit"])
def test_each_direction_has_counts_of_its_own(test: AnyTest) -> None:
    """A count that is named for one direction changes nothing in the other."""
    plain = np.array([5.0 if name.endswith(DIRECTIONS) else 100.0 for name in test.fields])
    for place, name in enumerate(test.fields):
        more = plain + np.eye(plain.size)[place]
        for direction, other in (DIRECTIONS, DIRECTIONS[::-1]):
            won = [test.increments(one, direction, NO_SCALE) for one in (plain, more)]  # type: ignore[arg-type]
            concerns = not name.endswith(other) and not name.startswith("both")
            assert np.allclose(*won, rtol=1e-12) != concerns, (name, direction)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_arms_win_what_the_closed_form_says_and_pairs_beside_them(direction: Any) -> None:
    bets = signed_bets(direction, 0.01)
    payoffs = two_arm_cells.Payoffs.of(0.01, bets)
    counts = (np.array(float(n)) for n in (200, 20, 300, 9))
    of_arms = two_arm_cells.log_increments(*counts, payoffs)
    test = BinaryTest(0.01)
    assert test.increments(ARMS, direction, NO_SCALE).tolist() == of_arms.tolist()
    together = test.increments(PAIRS + ARMS, direction, NO_SCALE)
    of_pairs = test.increments(PAIRS, direction, NO_SCALE)
    assert together == pytest.approx(of_pairs + of_arms)


def test_limits_win_the_product_of_their_payoffs() -> None:
    for direction, bad in (("rollback", 9), ("promotion", 7)):
        bets = signed_bets(direction, 0.1, low=0.0)  # type: ignore[arg-type]
        wanted = bad * np.log1p(bets * 0.9) + (50 - bad) * np.log1p(-bets * 0.1)
        won = LimitTest(0.1).increments(limit(50, 9, 7), direction, NO_SCALE)  # type: ignore[arg-type]
        assert won == pytest.approx(wanted)


RNG = np.random.default_rng(3)
COSTS = RNG.lognormal(0.0, 0.5, (40, 30)), RNG.lognormal(0.1, 0.5, (40, 30))
RELATIVE = MeanTest(factor=1.1, relative=True)


def test_means_win_by_their_sum_and_pay_for_their_squares() -> None:
    candidate, stable = COSTS[0][0], COSTS[1][0]
    x = candidate - 1.1 * stable
    scale = np.array([0.5, 1_000.0, 700.0])
    variance = (PRIOR_UNITS * 0.5 + 700.0) / (PRIOR_UNITS + 1_000.0)
    bets = STAKES / math.sqrt(0.5)
    charged = (x**2).sum() + 2 * x.size * variance
    for direction, sign in (("rollback", 1.0), ("promotion", -1.0)):
        won = RELATIVE.increments(paired_means(candidate, stable), direction, scale)  # type: ignore[arg-type]
        assert won == pytest.approx(sign * bets * x.sum() - bets**2 / 6 * charged)


def test_arms_of_means_are_one_observation_a_window() -> None:
    candidate, stable = COSTS[0][0][:20], COSTS[1][0]
    weight = 20 * 30 / 50
    x = weight * (candidate.mean() - 1.1 * stable.mean())
    scale = np.array([0.5, 1_000.0, 700.0])
    variance = (PRIOR_UNITS * 0.5 + 700.0) / (PRIOR_UNITS + 1_000.0)
    bets = STAKES / math.sqrt(0.5)
    won = RELATIVE.increments(mean_arms(candidate, stable), "rollback", scale)
    assert won == pytest.approx(bets * x - bets**2 / 6 * (x**2 + 2 * weight * variance))


def test_nothing_is_won_on_means_before_their_scale_is_known() -> None:
    assert not RELATIVE.increments(paired_means(*COSTS), "rollback", NO_SCALE).any()


def test_shift_and_sign_turn_harm_the_right_way() -> None:
    """A drop of at most half a unit is tolerated: harm is stable - candidate - 0.5."""
    drop = MeanTest(sign=-1.0, shift=-0.5)
    candidate, stable = COSTS[0][0], COSTS[1][0]
    x = stable - candidate - 0.5
    scale = np.array([0.5, 0.0, 0.0])
    bets = STAKES / math.sqrt(0.5)
    charged = (x**2).sum() + 2 * x.size * 0.5
    won = drop.increments(paired_means(candidate, stable), "rollback", scale)
    assert won == pytest.approx(bets * x.sum() - bets**2 / 6 * charged)
    assert drop.margin == 0.5


# Scale


def test_the_scale_of_a_batch_comes_from_batches_before_it() -> None:
    batches = np.stack([paired_means(c, s) for c, s in zip(*COSTS, strict=True)])
    scales = RELATIVE.scales_before(batches, NO_SCALE)
    squares = ((COSTS[0] - 1.1 * COSTS[1]) ** 2).sum(axis=1)
    assert scales.shape == (41, 3)
    assert scales[:, 1].tolist() == [30.0 * t for t in range(41)]
    assert scales[:, 2] == pytest.approx(np.concatenate([[0.0], squares.cumsum()]))
    calibrated = math.ceil(CALIBRATION_UNITS / 30)
    assert not scales[:calibrated, 0].any()
    prior = squares[:calibrated].sum() / (30 * calibrated)
    assert scales[calibrated:, 0] == pytest.approx([prior] * (41 - calibrated))


def test_a_prior_that_is_known_stays_and_one_of_nothing_is_none() -> None:
    batches = np.stack([paired_means(c, s) for c, s in zip(*COSTS, strict=True)])
    assert set(RELATIVE.scales_before(batches, np.array([2.0, 5.0, 7.0]))[:, 0]) == {2.0}
    free = np.stack([paired_means([0.0] * 200, [0.0] * 200)] * 2 + [batches[0]])
    assert MeanTest().scales_before(free, NO_SCALE)[:, 0].tolist()[:3] == [0.0, 0.0, 0.0]
    assert MeanTest().scales_before(free, NO_SCALE)[3, 0] > 0.0
    # Where stable's value is 0 there is nothing to take a share of, and nothing to learn.
    assert RELATIVE.scales_before(free, NO_SCALE)[:, 0].tolist() == [0.0] * 4


def test_scales_are_the_same_to_the_last_bit_in_one_go_or_in_parts() -> None:
    batches = np.stack([paired_means(c, s) for c, s in zip(*COSTS, strict=True)])
    whole = RELATIVE.scales_before(np.stack([batches] * 2, axis=1), np.zeros((2, 3)))
    first = RELATIVE.scales_before(batches[:7], NO_SCALE)
    rest = RELATIVE.scales_before(batches[7:], first[-1])
    parts = np.concatenate([first, rest[1:]])
    assert whole[:, 0].tobytes() == whole[:, 1].tobytes() == parts.tobytes()


def test_yes_or_no_has_no_scale() -> None:
    for test, one in ((BinaryTest(0.1), PAIRS), (LimitTest(0.1), limit(5, 1, 1))):
        assert not test.scales_before(np.stack([one, one]), NO_SCALE).any()
        assert not test.interval_sums(one, NO_SCALE).any()


@pytest.mark.parametrize(
    ("test", "some"),
    [
        (BinaryTest(0.01), np.stack([PAIRS, ARMS, PAIRS + ARMS, np.zeros(13)] * 9)),
        (BinaryTest(0.001, 3.0), np.stack([PAIRS, ARMS, arms(90, 40, 900, 300)] * 9)),
        (LimitTest(0.01), np.stack([limit(50, 9, 7), limit(9, 0, 0), np.zeros(3)] * 9)),
        (RELATIVE, np.stack([paired_means(*COSTS), mean_arms(*COSTS), np.zeros(12)] * 9)),
    ],
    ids=["binary", "relative", "limit", "mean"],
)
def test_a_batch_is_worth_the_same_to_the_last_bit_in_any_company(
    test: AnyTest, some: FloatArray
) -> None:
    scale = np.array([0.5, 1_000.0, 700.0])
    for direction in DIRECTIONS:
        together = test.increments(some.reshape(3, -1, some.shape[-1]), direction, scale)  # type: ignore[arg-type]
        alone = [test.increments(one, direction, scale) for one in some]  # type: ignore[arg-type]
        assert together.tobytes() == np.stack(alone).tobytes()


# What is observed


def test_what_is_observed_of_a_yes_or_no() -> None:
    test = BinaryTest(0.0)
    assert test.observed(PAIRS) == (400, 23 / 400, 7 / 400, pytest.approx(0.04))
    assert test.observed(ARMS) == (200, 0.1, 0.03, pytest.approx(0.07))
    assert test.observed(np.zeros(13)) == (0, None, None, None)
    assert test.observed(arms(5, 1, 0, 0)) == (5, 0.2, None, None)
    assert BinaryTest(0.0, ratio=3.0).observed(ARMS).harm == pytest.approx(0.1 - 0.09)
    assert LimitTest(0.1).observed(limit(50, 5, 4)) == (50, 0.1, None, 0.1)
    assert LimitTest(0.1).observed(np.zeros(3)) == (0, None, None, None)


def test_what_is_observed_of_means() -> None:
    statistics = paired_means([3.0, 5.0], [2.0, 2.0])
    assert RELATIVE.observed(statistics) == (2, 4.0, 2.0, pytest.approx(1.0))
    assert RELATIVE.margin == pytest.approx(0.1)
    assert MeanTest(sign=-1.0, shift=-0.5).observed(statistics) == (2, 4.0, 2.0, -2.0)
    assert MeanTest(factor=0.0, shift=3.0).observed(statistics) == (2, 4.0, None, 4.0)
    assert RELATIVE.observed(np.zeros(12)) == (0, None, None, None)
    free = paired_means([3.0], [0.0])
    assert RELATIVE.observed(free) == (1, 3.0, 0.0, None)


def test_harm_of_a_window_is_that_of_its_units() -> None:
    for ratio in (1.0, 3.0):
        few = pairs(1, 0, 0)
        found = BinaryTest(0.01, ratio).window_harm(np.stack([PAIRS, few]))
        units = np.repeat([-ratio, 0.0, 1.0, 1.0 - ratio], [4, 373, 20, 3])
        assert found[0] == pytest.approx([400, units.sum(), units.var(ddof=1)])
        assert np.isnan(found[1]).all()
    values = np.array([3.0, 5.0, 1.0]) - 1.1 * np.array([2.0, 2.0, 4.0])
    of_means = MeanTest(factor=1.1).window_harm(paired_means([3.0, 5.0, 1.0], [2.0, 2.0, 4.0]))
    assert of_means == pytest.approx([3, values.sum(), values.var(ddof=1)])
    assert np.isnan(MeanTest().window_harm(np.zeros(12))).all()


def test_harm_of_two_arms_varies_as_their_difference_does() -> None:
    weight = 200 * 300 / 500
    variance = 0.1 * 0.9 / 199 + 0.03 * 0.97 / 299
    wanted = [weight, weight * 0.07, weight * variance]
    assert BinaryTest(0.01).window_harm(ARMS) == pytest.approx(wanted)
    c, s = COSTS[0][0], COSTS[1][0]
    found = MeanTest().window_harm(mean_arms(c, s))
    wanted = [15, 15 * (c.mean() - s.mean()), 15 * (c.var(ddof=1) + s.var(ddof=1)) / 30]
    assert found == pytest.approx(wanted)


def test_harm_of_a_limits_window_is_that_of_its_units() -> None:
    found = LimitTest(0.1).window_harm(np.stack([limit(50, 5, 4), limit(1, 1, 1)]))
    assert found[0] == pytest.approx([50, 5, 0.1 * 0.9 * 50 / 49])
    assert np.isnan(found[1]).all()


def test_stables_own_outcomes_of_a_window() -> None:
    found = BinaryTest(0.01).stable_harm(np.stack([PAIRS, ARMS, pairs(1, 0, 0)]))
    assert found[0] == pytest.approx([400, 7, np.repeat([1.0, 0.0], [7, 393]).var(ddof=1)])
    assert found[1] == pytest.approx([300, 9, np.repeat([1.0, 0.0], [9, 291]).var(ddof=1)])
    assert np.isnan(found[2]).all()
    stable = COSTS[1][0]
    wanted = pytest.approx([30, stable.sum(), stable.var(ddof=1)])
    for statistics in (paired_means(COSTS[0][0], stable), mean_arms(COSTS[0][0], stable)):
        assert RELATIVE.stable_harm(statistics) == wanted
    assert np.isnan(LimitTest(0.1).stable_harm(limit(50, 5, 4))).all()


# Where the harm lies


CASES: list[tuple[AnyTest, FloatArray]] = [
    (BinaryTest(0.01), PAIRS),
    (BinaryTest(0.01), ARMS),
    (BinaryTest(0.001, 3.0), PAIRS),
    (BinaryTest(0.001, 3.0), ARMS),
    (LimitTest(0.1), limit(50, 5, 5)),
]


@pytest.mark.parametrize(("test", "statistics"), CASES)
def test_intervals_hold_what_was_observed_and_widen_with_the_design_effect(
    test: AnyTest, statistics: FloatArray
) -> None:
    sums = test.interval_sums(statistics, NO_SCALE)
    low, high = test.interval(statistics, sums, NO_SCALE, 0.05)
    harm = test.observed(statistics).harm
    assert harm is not None
    assert low < harm < high
    lower, higher = test.interval(statistics, sums, NO_SCALE, 0.05, design_effect=5.0)
    assert lower < low
    assert high < higher


def test_the_interval_of_a_mean_counts_from_zero_and_begins_with_the_scale() -> None:
    statistics = paired_means([3.0, 5.0, 1.0], [2.0, 2.0, 4.0])
    assert not RELATIVE.interval_sums(statistics, NO_SCALE).any()
    sums = RELATIVE.interval_sums(statistics, np.array([4.0, 0.0, 0.0]))
    assert sums[:2] == pytest.approx([9.0 - 8.0, 8.0])
    x = np.array([3.0, 5.0, 1.0]) - 1.1 * np.array([2.0, 2.0, 4.0])
    assert sums[2] == pytest.approx((x**2).sum() + 2 * 3 * 4.0)


def test_the_interval_of_a_mean_holds_the_truth_and_widens_with_the_design_effect() -> None:
    batches = np.stack([paired_means(c, s) for c, s in zip(*COSTS, strict=True)])
    scales = RELATIVE.scales_before(batches, NO_SCALE)
    sums = RELATIVE.interval_sums(batches, scales[:-1]).sum(axis=0)
    total = batches.sum(axis=0)
    low, high = RELATIVE.interval(total, sums, scales[-1], 0.05)
    assert low < math.exp(-0.1) - 1.0 < high
    wide = RELATIVE.interval(total, sums, scales[-1], 0.05, design_effect=4.0)
    assert wide[1] - wide[0] == pytest.approx(2.0 * (high - low), rel=0.5)


def test_without_data_the_harm_may_lie_anywhere() -> None:
    anywhere = [-math.inf, math.inf]
    nothing = np.zeros(13)
    assert BinaryTest(0.01).interval(nothing, NO_SCALE, NO_SCALE, 0.05).tolist() == anywhere
    one_arm = arms(5, 1, 0, 0)
    assert BinaryTest(0.01).interval(one_arm, NO_SCALE, NO_SCALE, 0.05).tolist() == anywhere
    of_limit = LimitTest(0.1).interval(np.zeros(3), NO_SCALE, NO_SCALE, 0.05)
    assert of_limit.tolist() == [0.0, 1.0]
    assert RELATIVE.interval(np.zeros(12), NO_SCALE, NO_SCALE, 0.05).tolist() == anywhere


def test_intervals_of_many_cells_are_those_of_each() -> None:
    mean = paired_means(*COSTS)
    scale = np.array([0.5, 1_000.0, 700.0])
    cells: list[tuple[AnyTest, FloatArray]] = [
        (BinaryTest(0.01), np.stack([PAIRS, ARMS, np.zeros(13), arms(9, 0, 9, 0)])),
        (LimitTest(0.01), np.stack([limit(50, 9, 7), np.zeros(3), limit(9, 0, 0), limit(9, 9, 9)])),
        (RELATIVE, np.stack([mean, np.zeros(12), mean_arms(*COSTS), mean / 2.0])),
    ]
    effects = np.array([1.0, 2.0, 3.0, 4.0])
    for test, some in cells:
        sums, scales = test.interval_sums(some, scale), np.broadcast_to(scale, (4, 3))
        together = test.interval(some, sums, scales, 0.05, effects)
        for place, one in enumerate(some):
            alone = test.interval(one, sums[place], scale, 0.05, float(effects[place]))
            assert together[place].tobytes() == alone.tobytes()


def test_units_are_the_candidates() -> None:
    some = np.stack([PAIRS, ARMS, PAIRS + ARMS])
    assert BinaryTest(0.0).units(some).tolist() == [400, 200, 600]
    assert LimitTest(0.1).units(limit(7, 1, 1)) == 7
    assert MeanTest().units(mean_arms([1.0] * 20, [1.0] * MEAN_ARM_UNITS)) == 20
    assert no_scale(some).shape == (3, 3)


def test_a_share_of_0_tells_nothing() -> None:
    test = MeanTest(factor=1.25, relative=True)
    nothing = paired_means([3.0, 5.0], [0.0, 0.0])
    assert test.lacks_baseline(nothing)
    assert test.units(nothing) == 0
    assert test.observed(nothing).harm is None
    some = paired_means([3.0, 5.0], [2.0, 0.0])
    assert not test.lacks_baseline(some)
    assert test.units(some) == 2
    assert not MeanTest(shift=1.0).lacks_baseline(nothing)
    scale = test.scales_before(some[None], np.zeros(3))[-1]
    scale[0] = 1.0
    assert not test.increments(nothing, "rollback", scale).any()
    assert test.increments(some, "rollback", scale).any()
