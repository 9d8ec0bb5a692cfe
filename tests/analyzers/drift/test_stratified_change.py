"""Changes within strata: the traffic's mix is none, and days that differ are not surprising."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.drift.traffic import FIRST, RATES, traffic
from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import DRIFT_METRICS
from understudy.analyzers.drift.periods import HOURS_OF_DAY, Periods, periods_of
from understudy.analyzers.drift.strata import Strata
from understudy.analyzers.drift.stratified_change import StratifiedChange, stratified_change

METRICS = {metric.name: metric for metric in DRIFT_METRICS}


def changed(sums: HourlySums, days: int, metric: str = "error_rate") -> StratifiedChange | None:
    periods = periods_of("stable", FIRST, FIRST + days * HOURS_OF_DAY)
    assert isinstance(periods, Periods)
    parts = (sums.languages == "ja").astype(np.int64)
    is_rate = METRICS[metric].kind == "rate"
    values = METRICS[metric].sums(sums.columns)
    return stratified_change(Strata(parts, sums.hours, periods), values, is_rate=is_rate)


def test_each_stratum_weighs_the_same_before_and_after() -> None:
    """The mean of both languages doubles, and neither has changed."""
    sums = traffic(np.random.default_rng(1), 29, shift=0.4, day_spread=0.0, per_hour=400)
    found = changed(sums, 29)
    assert found is not None
    rows = sums.hours >= FIRST + 28 * HOURS_OF_DAY
    crude = [
        sums.columns["errors"][some].sum() / sums.columns["model_requests"][some].sum()
        for some in (~rows, rows)
    ]
    assert crude[1] / crude[0] > 1.7
    assert found.after == pytest.approx(found.before, rel=0.05)
    assert (found.stretches, found.freedom) == (28, pytest.approx(20, abs=2))
    assert found.p_value > 0.01


def test_a_change_is_found_with_its_size() -> None:
    sums = traffic(np.random.default_rng(7), 29, errors=2.0, per_hour=400)
    found = changed(sums, 29)
    assert found is not None
    assert found.p_value < 1e-4
    assert found.after / found.before == pytest.approx(2.0, rel=0.2)
    mixed = 0.7 * RATES["en"] + 0.3 * RATES["ja"]
    assert found.before == pytest.approx(mixed, rel=0.1)


def test_p_values_are_uniform_where_only_days_differ() -> None:
    """Whatever the mix: 5 in 100 below 5 %, and no more than a few below 1 %."""
    p_values = []
    for seed in range(150):
        sums = traffic(np.random.default_rng(seed), 15, shift=0.2, per_hour=40)
        for metric in ("error_rate", "answer_length"):
            found = changed(sums, 15, metric)
            assert found is not None
            p_values.append(found.p_value)
    assert np.mean(np.array(p_values) < 0.05) < 0.08
    assert np.mean(np.array(p_values) < 0.01) < 0.025
    assert np.mean(np.array(p_values) < 0.5) > 0.3


def test_little_traffic_and_equal_values_tell_nothing() -> None:
    few = traffic(np.random.default_rng(3), 15, per_hour=1)
    assert changed(few, 15) is None
    same = traffic(np.random.default_rng(3), 15)
    same.columns["errors"][:] = 0.0
    assert changed(same, 15) is None
    nothing = same.where(same.hours < 0)
    assert changed(nothing, 15) is None


def test_parts_that_only_one_period_has_say_nothing() -> None:
    sums = traffic(np.random.default_rng(4), 15, per_hour=200)
    is_new = (sums.languages == "ja") & (sums.hours < FIRST + 14 * HOURS_OF_DAY)
    found = changed(sums.where(~is_new), 15)
    assert found is not None
    assert found.after == pytest.approx(RATES["en"], rel=0.3)
    assert found.p_value > 0.001
