"""Rows drawn from sums: natural units as Python divides whole numbers, however many at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from understudy.analyzers.windows.drawn_rows import (
    DrawnRow,
    drawn_lists,
    measured,
    part_of_lists,
    window_rows,
)
from understudy.analyzers.windows.layout import PLACES, VECTOR_LENGTH
from understudy.analyzers.windows.moments import LIMBS, join_limbs
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import SECTIONS, WindowRow, row_lists

KEY = SliceKey("helpdesk", "shadow", "en", "", 1_767_225_600_000)


def a_row(vector: np.ndarray[Any, Any], key: SliceKey = KEY, **fields: Any) -> DrawnRow:
    sums = WindowSums(vector)
    return DrawnRow.of(
        sums, key, **{"window_s": 10, "partition": 2, "version": 7, "closed": False, **fields}
    )


def some_rows(seed: int, n: int) -> list[DrawnRow]:
    """Numbers of every size, of either sign, many of them zero."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        vector = rng.integers(-(2**62), 2**62, VECTOR_LENGTH) >> rng.integers(0, 63, VECTOR_LENGTH)
        vector[rng.random(VECTOR_LENGTH) < 0.7] = 0
        sums = WindowSums(vector)
        sums.add_buckets("stable_duration_ms_histogram", [(7, number + 1), (-2, 5)])
        for name in "qrstuvwxyzab"[: number + 1]:
            sums.add_name("candidate_models", name, 1)
        waits = UnresolvedCounts(awaiting_stable=number) if number % 2 else None
        key = KEY._replace(workflow="chat" if number % 3 else "")
        if number % 4 == 3:
            key = key._replace(evaluator="judge@1", requests_from_ms=1_767_225_540_000)
        fields: dict[str, Any] = {"closed": number % 2 == 0, "unresolved": waits}
        found.append(DrawnRow.of(sums, key, window_s=10, partition=2, version=number, **fields))
    return found


def expected(row: DrawnRow, column: str) -> float:
    """A number as it follows from the layout, with nothing but Python's whole numbers."""
    place = PLACES[column]
    parts = row.vector[place.slot : place.slot + place.width].tolist()
    ticks: int = join_limbs(*parts) if place.is_product else parts[0]
    return ticks if place.divisor == 1 else ticks / place.divisor


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_that_python_divides(seed: int) -> None:
    rows = some_rows(seed, 6)
    lists = measured(rows)
    for column in PLACES:
        wanted = [expected(row, column) for row in rows]
        assert lists.get(column, [0] * len(rows)) == wanted, column
        assert (column in lists) == any(wanted)
        if column in lists:
            kind = int if PLACES[column].divisor == 1 else float
            assert {type(value) for value in lists[column]} == {kind}


@pytest.mark.parametrize("ticks", [2**53 - 1, 2**53 + 1, -(2**53) - 1, 2**62 + 1, 3])
def test_ticks_that_no_float_holds_are_divided_exactly(ticks: int) -> None:
    column = "stable_duration_ms_sum"
    vector = np.zeros(VECTOR_LENGTH, np.int64)
    vector[PLACES[column].slot] = ticks
    assert measured([a_row(vector)])[column] == [ticks / 1000]


def test_parts_of_a_product_that_cancel_are_nothing() -> None:
    slot = PLACES["stable_cost_usd_squares"].slot
    vector = np.zeros(VECTOR_LENGTH, np.int64)
    vector[slot : slot + LIMBS] = -1, 1 << 20, 0
    assert measured([a_row(vector)]) == {}


def test_rows_drawn_together_are_those_drawn_alone() -> None:
    rows = some_rows(9, 12)
    assert window_rows(rows) == [row.to_row() for row in rows]
    lists = drawn_lists(rows)
    for part in (slice(0, 12), slice(0, 1), slice(3, 4), slice(5, 9), slice(2, 2)):
        assert part_of_lists(lists, part) == row_lists(window_rows(rows[part]))
    assert window_rows([]) == []


def test_a_row_keeps_what_it_was_drawn_from() -> None:
    sums = WindowSums()
    sums.add_count("stable_requests", 1)
    sums.add_buckets("stable_duration_ms_histogram", [(3, 1)])
    sums.add_name("stable_models", "heron-4", 1)
    row = DrawnRow.of(sums, KEY, window_s=10, partition=2, version=7, closed=False)
    sums.add_count("stable_requests", 1)
    sums.add_buckets("stable_duration_ms_histogram", [(3, 1), (4, 1)])
    sums.add_name("stable_models", "heron-4", 1)
    stable = row.to_row().stable
    assert (stable.requests, stable.models) == (1, {"heron-4": 1})
    assert stable.duration_ms_histogram == {3: 1}


def test_the_names_of_a_row_are_the_most_frequent_and_in_order() -> None:
    (*_, last) = some_rows(1, 12)
    assert last.to_row().candidate.models == {**dict.fromkeys("abqrstuv", 1), "other": 4}


def test_a_row_without_any_number_is_empty() -> None:
    row = a_row(np.zeros(VECTOR_LENGTH, np.int64), KEY._replace(mode="")).to_row()
    bare = WindowRow(
        rollout_id="helpdesk", language="en", window_start=row.window_start, window_s=10,
        partition=2, version=7,
    )  # fmt: skip
    assert row == bare
    assert all(getattr(row, section) == record() for section, record in SECTIONS.items())
