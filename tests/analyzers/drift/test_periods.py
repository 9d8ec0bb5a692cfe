"""Which hours are held against which."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.drift.periods import (
    FEWEST_REFERENCE_HOURS,
    HOURS_OF_DAY,
    HOURS_OF_WEEK,
    Hours,
    Periods,
    periods_of,
)

DAY, WEEK = HOURS_OF_DAY, HOURS_OF_WEEK


def test_the_candidate_is_held_against_its_first_days() -> None:
    assert periods_of("candidate", 0, 30 * DAY) == (Hours(0, 14 * DAY), Hours(29 * DAY, 30 * DAY))
    assert periods_of("candidate", 0, 9 * DAY) == (Hours(0, 8 * DAY), Hours(8 * DAY, 9 * DAY))


def test_stable_is_held_against_the_weeks_before() -> None:
    assert periods_of("stable", 0, 60 * DAY) == (
        Hours(31 * DAY, 59 * DAY),
        Hours(59 * DAY, 60 * DAY),
    )
    assert periods_of("stable", 0, 60 * DAY, recent=6, reference=7 * DAY) == (
        Hours(53 * DAY - 6, 60 * DAY - 6),
        Hours(60 * DAY - 6, 60 * DAY),
    )


@pytest.mark.parametrize("side", ["stable", "candidate"])
def test_short_traffic_tells_nothing(side: str) -> None:
    shortest = FEWEST_REFERENCE_HOURS + DAY
    assert periods_of(side, 100, 100 + shortest) is not None  # type: ignore[arg-type]
    assert periods_of(side, 100, 100 + shortest - 1) is None  # type: ignore[arg-type]


def test_hours_of_the_week_need_three_weeks() -> None:
    assert Periods(Hours(0, 3 * WEEK), Hours(3 * WEEK, 3 * WEEK + DAY)).cycle == WEEK
    assert Periods(Hours(0, 3 * WEEK - 1), Hours(3 * WEEK, 3 * WEEK + DAY)).cycle == DAY
    assert Hours(5, 6).hold(np.array([5, 6])).tolist() == [True, False]
