"""Columns put end to end and taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from understudy.analyzers.compare.arrays import Ints, concatenate, select


@dataclass(frozen=True)
class _Inner:
    number: Ints
    label: list[str]


@dataclass(frozen=True)
class _Outer:
    inner: _Inner
    text: list[str | None]


def _inner(*numbers: int) -> _Inner:
    return _Inner(np.array(numbers, dtype=np.int64), [f"label {number}" for number in numbers])


@pytest.mark.parametrize("cuts", [[], [0], [2], [1, 1, 3], [4]])
def test_parts_put_end_to_end_are_the_whole(cuts: list[int]) -> None:
    whole = _inner(5, 3, 8, 1)
    edges = [0, *cuts, 4]
    joined = concatenate([select(whole, slice(a, b)) for a, b in pairwise(edges)])
    assert joined.number.tolist() == [5, 3, 8, 1]
    assert joined.number.dtype == np.int64
    assert joined.label == whole.label


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        pytest.param(slice(1, None), [3, 8], id="slice"),
        pytest.param([2, 0, 0], [8, 5, 5], id="rows in any order"),
        pytest.param([], [], id="none"),
    ],
)
def test_rows_are_selected_at_every_level(rows: slice | list[int], numbers: list[int]) -> None:
    some = select(_Outer(_inner(5, 3, 8), ["5", None, "8"]), rows)
    assert some.inner.number.tolist() == numbers
    assert some.inner.label == [f"label {number}" for number in numbers]
    assert some.text == [None if number == 3 else str(number) for number in numbers]
