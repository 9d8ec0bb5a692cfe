"""All metrics of a side, with one chance of a false alert for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analyzers.drift.traffic import FIRST, traffic
from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import evaluator_metrics
from understudy.analyzers.drift.periods import HOURS_OF_DAY, periods_of
from understudy.analyzers.drift.side_drift import FALSE_ALERTS, SideDrift, drift_of


def drift(sums: HourlySums, days: int = 29) -> SideDrift:
    periods = periods_of("stable", FIRST, FIRST + days * HOURS_OF_DAY)
    assert periods is not None
    return drift_of(sums, periods)


def test_a_change_in_the_mix_is_silent() -> None:
    alerts = [
        bool(drift(traffic(np.random.default_rng(seed), 29, shift=0.2)).alerts)
        for seed in range(60)
    ]
    assert sum(alerts) <= 3, "at most 5 in 100"


def test_a_model_that_says_more_is_told_with_how_much_more() -> None:
    found = drift(traffic(np.random.default_rng(1), 29, longer=1.6))
    assert {one.metric.name for one in found.alerts} == {"answer_length"}
    first = found.findings[0]
    assert first.is_alert
    low, high = first.interval
    assert low < 0.6 < high
    assert first.after / first.before == pytest.approx(1.0 + first.change)


def test_a_change_in_one_language_is_told_of_it() -> None:
    sums = traffic(np.random.default_rng(7), 29, errors=4.0, harmed=("ja",), per_hour=300)
    alerts = {(one.metric.name, one.language) for one in drift(sums).alerts}
    assert ("error_rate", "ja") in alerts
    assert ("error_rate", "en") not in alerts


def test_tests_share_the_chance_of_a_false_alert() -> None:
    found = drift(traffic(np.random.default_rng(3), 29))
    assert math.fsum(one.tested_at for one in found.findings) == pytest.approx(FALSE_ALERTS)
    assert {one.language for one in found.findings} == {"", "en", "ja"}
    english = traffic(np.random.default_rng(3), 29)
    alone = drift(english.where(english.languages == "en"))
    assert {one.language for one in alone.findings} == {""}
    assert math.fsum(one.tested_at for one in alone.findings) == pytest.approx(FALSE_ALERTS)


def test_longer_prompts_are_told_beside_it() -> None:
    sums = traffic(np.random.default_rng(4), 29)
    assert drift(sums).prompt_tokens_change == pytest.approx(0.0, abs=1e-9)
    is_last = sums.hours >= FIRST + 28 * HOURS_OF_DAY
    sums.columns["input_tokens_sum"][is_last] *= 1.5
    assert drift(sums).prompt_tokens_change == pytest.approx(0.5)


def test_without_traffic_there_is_nothing_to_tell() -> None:
    sums = traffic(np.random.default_rng(5), 29)
    nothing = drift(sums.where(sums.hours < 0))
    assert (nothing.findings, nothing.alerts, nothing.prompt_tokens_change) == ((), (), None)


def judged_by(
    rng: np.random.Generator, sums: HourlySums, *, worse: float, evaluator: str = "helpful@1"
) -> HourlySums:
    """Twenty pairs an hour and language with scores around 0.8, in the last day so much lower."""
    metrics = evaluator_metrics(evaluator, "candidate")
    number = np.full(sums.hours.size, 20.0)
    is_last = sums.hours >= sums.hours.max() + 1 - HOURS_OF_DAY
    mean = 0.8 - worse * is_last + rng.normal(0.0, 0.03, sums.hours.size)
    columns = {}
    for metric in metrics:
        columns |= {
            metric.count: number, metric.total: number * mean,
            metric.squares: number * (mean**2 + 0.02),
        }  # fmt: skip
    return HourlySums(sums.hours, sums.languages, sums.workflows, columns, metrics)


def test_an_evaluator_that_scores_lower_is_told_in_points() -> None:
    rng = np.random.default_rng(11)
    sums = traffic(rng, 29)
    quiet = drift(sums.joined(judged_by(rng, sums, worse=0.0)))
    assert not quiet.alerts
    found = drift(sums.joined(judged_by(rng, sums, worse=0.1)))
    assert {one.metric.name for one in found.alerts} == {
        "quality_score(helpful@1)", "quality_preference(helpful@1)",
    }  # fmt: skip
    (score,) = (
        one for one in found.findings
        if one.metric.name == "quality_score(helpful@1)" and not one.language
    )  # fmt: skip
    assert score.change == pytest.approx(-0.1, abs=0.02)
    assert not score.is_relative
    assert math.fsum(one.tested_at for one in found.findings) == pytest.approx(FALSE_ALERTS)


def test_evaluations_leave_what_windows_tell_as_it_is() -> None:
    rng = np.random.default_rng(12)
    sums = traffic(rng, 29, longer=1.6)
    both = {(one.metric.name, one.language): one.found
            for one in drift(sums.joined(judged_by(rng, sums, worse=0.0))).findings}  # fmt: skip
    alone = {(one.metric.name, one.language): one.found for one in drift(sums).findings}
    assert alone.items() <= both.items()
