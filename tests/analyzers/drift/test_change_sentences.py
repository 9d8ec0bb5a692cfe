"""Findings in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.analyzers.drift.traffic import FIRST, traffic
from understudy.analyzers.drift.change_sentences import change, compared_periods, summary, values
from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.periods import HOURS_OF_DAY, periods_of
from understudy.analyzers.drift.side_drift import SideDrift, drift_of

DAYS = 15


def drift(sums: HourlySums) -> SideDrift:
    periods = periods_of("candidate", FIRST, FIRST + DAYS * HOURS_OF_DAY)
    assert periods is not None
    return drift_of(sums, periods)


def test_too_little_and_nothing_are_said() -> None:
    assert summary(None, 0) == "There are no requests."
    assert "There is 1 hour of traffic, and nothing" in summary(None, 1)
    assert "There are 30 hours of traffic, and nothing can be said below 120" in summary(None, 30)
    sums = traffic(np.random.default_rng(5), DAYS)
    assert summary(drift(sums), 360) == (
        "Nothing of 2 metrics has changed by more than days differ by themselves."
    )
    assert summary(drift(sums.where(sums.hours < 0)), 360) == "Nothing could be compared."


def test_what_changed_is_said_and_whether_prompts_did() -> None:
    sums = traffic(np.random.default_rng(6), DAYS, longer=1.8)
    found = drift(sums)
    assert summary(found, 360) == "Changed: mean answer length."
    assert compared_periods(found) == (
        "2025-12-04 00:00 to 2025-12-05 00:00 against 2025-11-20 00:00 to 2025-12-04 00:00, UTC"
    )
    sums.columns["input_tokens_sum"][sums.hours >= FIRST + 14 * HOURS_OF_DAY] *= 0.5
    assert summary(drift(sums), 360).endswith(
        " Prompts have changed by −50 % of their length, too."
    )


def test_what_was_too_much_to_compare_is_said() -> None:
    sums = traffic(np.random.default_rng(5), DAYS)
    less = replace(sums, left_out=1_840)
    assert drift(sums.joined(less)).left_out == drift(less.joined(sums)).left_out == 1_840
    assert summary(drift(less), 360) == (
        "Nothing of 2 metrics has changed by more than days differ by themselves. There are 1,840 "
        "more combinations of language and workflow, with fewer requests, which were not compared."
    )
    assert summary(drift(replace(sums, left_out=1)), 360).endswith(
        " There is 1 more combination of language and workflow, with fewer requests, which was not "
        "compared."
    )


def test_what_was_nothing_has_no_relative_change() -> None:
    sums = traffic(np.random.default_rng(6), DAYS)
    columns = dict(sums.columns)
    recent = sums.hours >= FIRST + 14 * HOURS_OF_DAY
    columns["cost_usd_count"] = columns["requests"]
    columns["cost_usd_sum"] = np.where(recent, 0.01 * columns["requests"], 0.0)
    columns["cost_usd_squares"] = np.where(recent, 0.0002 * columns["requests"], 0.0)
    found = drift(HourlySums(sums.hours, sums.languages, sums.workflows, columns))
    cost = next(one for one in found.findings if one.metric.name == "cost_usd")
    assert values(cost) == ("$0", "$0.01")
    assert change(cost) == "– (– to –)"


@pytest.mark.parametrize(("name", "ends"), [("answer_length", "%)"), ("error_rate", "points)")])
def test_changes_have_their_units(name: str, ends: str) -> None:
    found = drift(traffic(np.random.default_rng(6), DAYS, longer=1.8, errors=3.0))
    one = next(one for one in found.findings if one.metric.name == name)
    assert change(one).endswith(ends)
    assert change(one).count(" to ") == 1
    before, now = values(one)
    assert before != now
    assert ("%" in before) is (name == "error_rate")
