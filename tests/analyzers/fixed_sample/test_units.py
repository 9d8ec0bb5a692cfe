from __future__ import annotations

import numpy as np

from tests.analyzers.fixed_sample.cases import Case, rows_of
from understudy.analyzers.fixed_sample.units import (
    FIRST_UNIT_MS,
    added_by_unit,
    unit_times_ms,
    units_of,
)


def test_every_case_has_a_window_of_its_own() -> None:
    assert unit_times_ms([None, "", None]) == [FIRST_UNIT_MS + i * 1000 for i in range(3)]


def test_turns_of_a_conversation_share_one() -> None:
    times = unit_times_ms(["a", None, "a", "b", None, "b"])
    assert [(time - FIRST_UNIT_MS) // 1000 for time in times] == [0, 1, 0, 2, 3, 2]


def test_rows_of_one_window_are_one_unit_whatever_their_language() -> None:
    rows = rows_of([Case(conversation="a"), Case(), Case(conversation="a", language="de")])
    assert units_of(rows).tolist() == [0, 1, 0]


def test_rows_are_added_up_by_unit_and_absent_units_leave_no_gap() -> None:
    added = added_by_unit(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([7, 2, 7]))
    assert added.tolist() == [[3.0, 4.0], [6.0, 8.0]]
