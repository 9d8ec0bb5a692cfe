"""Rows added up by stratum, in lines of the recent period and of stretches before it."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.drift.metrics import Sums
from understudy.analyzers.drift.periods import HOURS_OF_DAY, Hours, Periods
from understudy.analyzers.drift.strata import Strata

DAY = HOURS_OF_DAY
PERIODS = Periods(Hours(10, 2 * DAY + 12), Hours(3 * DAY, 4 * DAY))
"""The reference begins within a day and ends a while before the recent one."""


def sums(values: list[float]) -> Sums:
    array = np.array(values)
    return Sums(array, 2 * array, 4 * array)


def test_each_row_counts_in_its_line_and_stratum() -> None:
    #          outside, three stretches, the same hour again, recent, outside
    hours = np.array([9, 11, DAY + 11, 2 * DAY + 11, 2 * DAY + 11, 3 * DAY + 11, 4 * DAY + 11])
    parts = np.array([0, 0, 0, 0, 1, 1, 1])
    strata = Strata(parts, hours, PERIODS)
    found = strata.sums(sums([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1000.0]))
    assert strata.stretches == 3
    assert found.number.tolist() == [[0.0, 5.0], [1.0, 0.0], [2.0, 0.0], [3.0, 4.0]]
    assert found.total.tolist() == (2 * found.number).tolist()
    assert strata.by_part(found.number).tolist() == found.number.tolist()


def test_parts_add_up_their_hours() -> None:
    hours = np.array([11, 12, 11, 3 * DAY + 11])
    strata = Strata(np.array([0, 0, 7, 7]), hours, PERIODS)
    found = strata.sums(sums([1.0, 2.0, 4.0, 8.0]))
    assert found.number.shape == (2, 3)
    assert strata.by_part(found.number).tolist() == [[0.0, 8.0], [3.0, 4.0]]
    assert strata.by_part(found.number[1]).tolist() == [3.0, 4.0]


def test_without_rows_there_are_no_strata() -> None:
    nothing = np.array([], np.int64)
    strata = Strata(nothing, nothing, PERIODS)
    found = strata.sums(sums([]))
    assert found.number.shape == (1, 0)
    assert strata.by_part(found.number).shape == (1, 0)
