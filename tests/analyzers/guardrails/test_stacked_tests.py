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
    harm = stacked.apart(lambda one, places: one.window_harm(of_window[places]))
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
