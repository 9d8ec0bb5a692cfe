"""Tests of one kind, stacked: bits are those of each test by itself."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.column_readers import (
    BinaryColumns,
    LimitColumns,
    MeanColumns,
)
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential import Direction
from understudy.analyzers.sequential.bets import FloatArray

WINDOWS = 7
SIZES = (3, 1, 4, 2)
RATES = (BinaryTest(0.01), BinaryTest(0.002, ratio=3.0), BinaryTest(0.01), BinaryTest(0.0))
LIMITS = (LimitTest(0.02), LimitTest(0.2), LimitTest(0.02), LimitTest(0.05))
MEANS = (MeanTest(factor=1.1, relative=True), MeanTest(shift=0.05), MeanTest(-1.0), MeanTest())


def rates(rng: np.random.Generator) -> FloatArray:
    """Cells with pairs, with separate arms, with one arm alone, and with nothing."""
    units = rng.integers(0, 300, (WINDOWS, sum(SIZES), 3)) * rng.integers(0, 2, 3)
    pairs, candidate, stable = (units[..., place] for place in range(3))
    bad = [rng.binomial(pairs // 4, 0.05) for _ in range(3)]
    arms = [rng.binomial(one, 0.1) for one in (candidate, stable)]
    columns = BinaryColumns(
        pairs, *bad, *bad, candidate, arms[0], arms[0], stable, arms[1], arms[1]
    )
    return np.stack(columns, axis=-1).astype(np.float64)


def limits(rng: np.random.Generator) -> FloatArray:
    units = rng.integers(0, 300, (WINDOWS, sum(SIZES)))
    bad = rng.binomial(units, 0.05)
    return np.stack(LimitColumns(units, bad, bad), axis=-1).astype(np.float64)


def means(rng: np.random.Generator) -> FloatArray:
    cells = rng.gamma(4.0, 30.0, (WINDOWS, sum(SIZES), len(MeanColumns._fields)))
    cells[..., 6:] *= rng.integers(0, 2, (WINDOWS, 1, 1))
    return cells


@pytest.mark.parametrize("direction", ["rollback", "promotion"])
@pytest.mark.parametrize(("tests", "draw"), [(RATES, rates), (LIMITS, limits), (MEANS, means)])
def test_stacked_tests_win_what_each_wins_alone(
    tests: tuple[AnyTest, ...], draw: object, direction: Direction
) -> None:
    assert callable(draw)
    statistics = draw(np.random.default_rng(1))
    stacked = StackedTest(tests, SIZES)
    scale = np.random.default_rng(2).gamma(2.0, 1.0, (sum(SIZES), 3))
    scales = stacked.scales_before(statistics, scale)
    steps, cells = np.nonzero(np.ones(statistics.shape[:2], bool))
    won = stacked.increments_of(cells, statistics[steps, cells], direction, scales[steps, cells])
    won = won.reshape(WINDOWS, sum(SIZES), stacked.n_bets)
    ready, waiting = stacked.split(statistics)
    of_window = statistics[0]
    harm = stacked.window_harm(of_window)
    ends = np.cumsum([0, *SIZES])
    for test, start, end in zip(tests, ends, ends[1:], strict=False):
        own = statistics[:, start:end]
        own_scales = test.scales_before(own, scale[start:end])
        assert np.array_equal(scales[:, start:end], own_scales)
        assert np.array_equal(won[:, start:end], test.increments(own, direction, own_scales[:-1]))
        assert np.array_equal(test.split(own)[0], ready[:, start:end])
        assert np.array_equal(test.split(own)[1], waiting[:, start:end])
        assert np.array_equal(test.units(own[0]), stacked.units(of_window)[start:end])
        together = stacked.increments(of_window, direction, scales[0])
        assert np.array_equal(together[start:end], won[0, start:end])
        sums = stacked.interval_sums(of_window, scales[0])
        assert np.array_equal(sums[start:end], test.interval_sums(own[0], own_scales[0]))
        assert np.array_equal(harm[start:end], test.window_harm(own[0]), equal_nan=True)


def test_the_same_test_is_one_however_many_checks_have_it() -> None:
    stacked = StackedTest(RATES, SIZES)
    assert stacked.tests == [RATES[0], RATES[1], RATES[3]]
    assert stacked.has_worst
    assert not StackedTest(MEANS, SIZES).has_worst


def test_a_mean_that_is_no_share_of_stables_has_units_where_stables_is_nothing() -> None:
    fields = MeanColumns._fields
    free = np.zeros((2, len(fields)))
    free[:, fields.index("pairs")] = 7.0
    stacked = StackedTest((MeanTest(factor=1.1, relative=True), MeanTest(shift=0.05)), (1, 1))
    assert stacked.units(free).tolist() == [0.0, 7.0]


@pytest.mark.parametrize("tests", [RATES, LIMITS], ids=["rates", "limits"])
def test_no_windows_win_more_than_their_bad_units_would(tests: tuple[AnyTest, ...]) -> None:
    rng, stacked = np.random.default_rng(3), StackedTest(tests, SIZES)
    few = rng.integers(0, 4, (WINDOWS, sum(SIZES), 3))
    few[:, ::2, 0] = 0  # of separate arms alone
    bad = rng.binomial(few, 0.6)
    if tests is RATES:
        columns: BinaryColumns | LimitColumns = BinaryColumns(
            pairs=few[..., 0],
            candidate_only_rollback=bad[..., 0],
            candidate_units=few[..., 1],
            candidate_bad_rollback=bad[..., 1],
            stable_units=few[..., 2],
            stable_bad_rollback=bad[..., 2],
        )
    else:
        columns = LimitColumns(few[..., 0], bad[..., 0], bad[..., 0])
    statistics = np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)
    scale = np.zeros((sum(SIZES), 3))
    won = np.array([stacked.increments(one, "rollback", scale) for one in statistics])
    most = stacked.most_won(statistics.sum(axis=0))
    assert (np.cumsum(won, axis=0) <= most + 1e-9).all()
    assert (won.sum(axis=0) > 0.3 * most).any(), "the bound is of use"


@pytest.mark.parametrize("arms", [False, True])
def test_no_windows_of_means_win_more_than_without_their_variance(arms: bool) -> None:
    rng, stacked = np.random.default_rng(4), StackedTest(MEANS, SIZES)
    statistics = np.zeros((WINDOWS, sum(SIZES), len(MeanColumns._fields)))
    n = 30
    candidate, stable = rng.gamma(9.0, 30.0, (2, WINDOWS, sum(SIZES), n))
    candidate *= 3.0
    sums = candidate.sum(-1), stable.sum(-1), (candidate**2).sum(-1), (stable**2).sum(-1)
    names = MeanColumns._fields.index
    if arms:
        fields = {
            "candidate_units": n, "candidate_total": sums[0], "candidate_squares": sums[2],
            "stable_units": n, "stable_total": sums[1], "stable_squares": sums[3],
        }  # fmt: skip
    else:
        fields = {
            "pairs": n, "paired_candidate": sums[0], "paired_stable": sums[1],
            "paired_candidate_squares": sums[2], "paired_stable_squares": sums[3],
            "paired_products": (candidate * stable).sum(-1),
        }  # fmt: skip
    for name, values in fields.items():
        statistics[..., names(name)] = values
    scale = np.tile([500.0**2, 1_000.0, 1_000 * 500.0**2], (sum(SIZES), 1))
    scales = stacked.scales_before(statistics, scale)
    won = np.array(
        [
            stacked.increments(one, "rollback", before)
            for one, before in zip(statistics, scales, strict=False)  # and one after the last
        ]
    )
    nothing = np.zeros(statistics.shape[1:])
    most = stacked.most_won_of_means(statistics, nothing, scale)
    assert most is not None
    assert (np.cumsum(won, axis=0) <= most + 1e-9).all()
    assert (won.sum(axis=0) > (0.0 if arms else 0.3 * most)).any(), "the bound is of use"
    unknown = stacked.most_won_of_means(statistics, nothing, np.zeros_like(scale))
    assert unknown is None, "a scale may be found"
