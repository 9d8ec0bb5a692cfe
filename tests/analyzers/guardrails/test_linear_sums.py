"""Sums of columns that are gathered at once are those of the readers, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.linear_sums import LinearSums
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.sequential.bets import FloatArray

NAMES = ["a", "b", "c", "d"]


def sums(columns: RowColumns) -> FloatArray:
    a, b, c, d = (columns[name] for name in NAMES)
    nothing = np.zeros(columns.n)
    own = np.where(columns.is_paired, a + b - c, d)
    return np.stack([own, nothing, 2.0 * a - b, c], axis=-1)


def columns_of(is_paired: list[bool]) -> RowColumns:
    rng = np.random.default_rng(5)
    n = len(is_paired)
    numbers = {name: rng.integers(0, 2**40, n).astype(np.float64) for name in NAMES[:3]}
    numbers["d"] = rng.random(n)
    return RowColumns(np.array(is_paired, dtype=np.bool_), numbers)


@pytest.mark.parametrize(
    "is_paired", [[True] * 5, [False] * 5, [True, False, True], [], [True]], ids=str
)
def test_sums_are_those_of_the_function(is_paired: list[bool]) -> None:
    columns = columns_of(is_paired)
    linear = LinearSums(NAMES, sums)
    assert linear.width == 4
    found = linear.read(columns)
    assert found.shape == (len(is_paired), 4)
    assert np.array_equal(found, sums(columns))
