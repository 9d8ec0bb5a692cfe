from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.analyzers.fixed_sample.cases import policy
from understudy.analyzers.fixed_sample.quantiles import Exceedance, QuantileTest
from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.row_columns import HistogramColumn
from understudy.analyzers.windows.histogram import log_bucket

LIMITS = (
    "guardrails:\n- {{metric: error_rate, max: 1%}}\n- {{metric: duration_{}, max_increase: {}}}"
)


def check_of(quantile: str = "p95", limit: str = "50%") -> Check:
    return next(one for one in checks_of(policy(LIMITS.format(quantile, limit))) if one.is_tail)


def side(values: np.ndarray, timeouts: int = 0) -> Exceedance:
    buckets = log_bucket(values)
    histogram = HistogramColumn(1, np.zeros(buckets.size, np.int64), buckets, np.ones(buckets.size))
    return Exceedance.of(histogram, np.array([float(timeouts)]))


def quantiles_of(
    stable: np.ndarray, candidate: np.ndarray, check: Check | None = None
) -> QuantileTest:
    return QuantileTest(
        check or check_of(), min(stable.size, candidate.size), side(stable), side(candidate), 1.0
    )


def paired(stable: np.ndarray, candidate: np.ndarray, check: Check | None = None) -> QuantileTest:
    """The same of single cases, of which both sides are known together."""
    pairs = np.stack([log_bucket(stable), log_bucket(candidate)], axis=-1).astype(np.float64)
    return replace(quantiles_of(stable, candidate, check), pairs=pairs)


def drawn(n: int, factor: float = 1.0, seed: int = 1) -> np.ndarray:
    return 1_000.0 * factor * np.exp(0.6 * np.random.default_rng(seed).standard_normal(n))


def test_cases_beyond_a_bucket_are_counted_with_timeouts() -> None:
    one = side(np.array([1.0, 10.0, 10.0, 100.0]), timeouts=2)
    ten = int(log_bucket(np.array([10.0]))[0])
    assert (one.cases, one.beyond(ten), one.beyond(ten - 1)) == (6, 3, 5)
    assert (one.beyond(-10_000), one.beyond(10_000)) == (6, 2)
    assert one.quantile_bucket(0.5) == ten
    assert one.quantile_bucket(0.95) is None
    assert side(np.zeros(0)).quantile_bucket(0.5) is None


def test_a_slower_candidate_is_found() -> None:
    test = quantiles_of(drawn(1_000), drawn(1_000, 3.0, seed=2))
    assert test.p_harm(1e-3) < 1e-3
    assert test.p_within(0.05) == 1.0
    low, high = test.interval(0.05)
    assert low < 2.0 < high
    assert test.harm == pytest.approx(2.0, rel=0.3)


def test_alike_models_are_within_the_limit() -> None:
    test = quantiles_of(drawn(1_000), drawn(1_000, seed=2))
    assert test.p_within(0.05) < 0.05
    assert test.p_harm(1e-3) > 0.5
    low, high = test.interval(0.05)
    assert low < 0.0 < high
    assert (test.margin, test.note) == (0.5, "")


def test_limits_in_milliseconds() -> None:
    check = check_of(limit="500ms")
    slower = quantiles_of(drawn(1_000), drawn(1_000) + 3_000.0, check)
    assert slower.p_harm(1e-3) < 1e-3
    low, high = slower.interval(0.05)
    assert low < 3_000.0 < high
    assert slower.harm == pytest.approx(3_000.0, rel=0.1)
    faster = quantiles_of(drawn(1_000) + 3_000.0, drawn(1_000), check)
    assert faster.p_within(0.05) < 0.05


def test_two_hundred_cases_say_nothing_of_the_slowest_in_a_hundred() -> None:
    test = quantiles_of(drawn(200), drawn(200, 10.0), check_of("p99"))
    assert not test.is_testable
    assert test.note == "200 cases are too few to show harm at p99"
    assert test.p_harm(1e-3) == 1.0


def test_it_says_how_many_cases_a_candidate_as_fast_needs() -> None:
    """Log-normal times: simulated, 0.7 of samples of about so many pass."""
    test = quantiles_of(drawn(2_000), drawn(2_000), check_of("p99"))
    needed = test.cases_needed(0.05)
    assert needed is not None
    assert 500 < needed < 2_500
    passed = [
        quantiles_of(drawn(needed, seed=s), drawn(needed, seed=99 - s), check_of("p99")).p_within(
            0.05
        )
        <= 0.05
        for s in range(40)
    ]
    assert sum(passed) >= 20
    assert quantiles_of(drawn(500), drawn(500), check_of(limit="0%")).cases_needed(0.05) is None


def test_timeouts_are_slower_than_any_limit() -> None:
    test = quantiles_of(drawn(500), drawn(500))
    hanging = replace(test, candidate=side(drawn(350), timeouts=150))
    assert hanging.p_harm(1e-3) < 1e-3
    assert hanging.levels[1] is None
    assert hanging.harm is None
    stable_too = replace(hanging, stable=side(drawn(350), timeouts=150))
    assert stable_too.p_harm(1e-3) == 1.0


def test_conversations_are_counted_once() -> None:
    test = quantiles_of(drawn(1_000), drawn(1_000, 2.2, seed=2))
    assert replace(test, design_effect=5.0).p_harm(1e-3) > test.p_harm(1e-3)


def test_nothing_is_said_of_no_cases() -> None:
    test = quantiles_of(np.zeros(0), np.zeros(0))
    assert (test.p_harm(0.01), test.p_within(0.05)) == (1.0, 1.0)
    assert test.interval(0.05) == (-np.inf, np.inf)


def test_both_sides_of_a_case_show_more_than_either_alone() -> None:
    """Three times as long, in 200 cases of which the sides take their time together."""
    rng, found = np.random.default_rng(5), np.zeros(2)
    for _ in range(60):
        effort = 0.5 * rng.standard_normal(200)
        mine, other = np.exp(effort + 0.3 * rng.standard_normal((2, 200)))
        tests = (
            paired(1_000.0 * mine, 3_000.0 * other),
            quantiles_of(1_000.0 * mine, 3_000.0 * other),
        )
        found += [test.p_harm(1e-3) <= 1e-3 for test in tests]
    assert found[0] > 1.5 * found[1]


def test_a_candidate_that_hangs_is_found_in_pairs() -> None:
    times = drawn(300)
    test = paired(times, times)
    assert test.pairs is not None
    hangs = test.pairs.copy()
    hangs[:60, 1] = np.inf
    assert replace(test, pairs=hangs).p_harm(1e-3) < 1e-3
    assert test.p_harm(1e-3) == 1.0


@pytest.mark.parametrize("shared", [0.0, 0.9, -0.9])
def test_false_verdicts_at_the_margin_are_rare(shared: float) -> None:
    """However the two sides' times go together."""
    rng, n_samples, wrong = np.random.default_rng(3), 200, np.zeros(2)
    for _ in range(n_samples):
        mine, other = rng.standard_normal((2, 400))
        theirs = shared * mine + np.sqrt(1.0 - shared**2) * other
        test = paired(1_000.0 * np.exp(0.6 * mine), 1_500.0 * np.exp(0.6 * theirs))
        wrong += [test.p_harm(0.05) <= 0.05, test.p_within(0.05) <= 0.05]
    assert max(wrong) / n_samples <= 0.05
