"""Histograms: within 1 %, mergeable, quantiles by nearest rank."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.windows.histogram import (
    RELATIVE_ERROR,
    SMALLEST_VALUE,
    bucket_upper_edge,
    bucket_value,
    hundredths,
    log_bucket,
    merge,
    quantile,
)

ROUNDING = 1 + 1e-9
WEEK_MS = 7 * 86_400_000.0
VALUES = st.floats(SMALLEST_VALUE, WEEK_MS * 1e6)
SPARSE = st.dictionaries(st.integers(-700, 1700), st.integers(1, 10**6), max_size=20)


def bucket_of(value: float) -> int:
    return int(log_bucket(np.array([value]))[0])


def counted(values: list[float]) -> dict[int, int]:
    return dict(Counter(log_bucket(np.array(values, dtype=np.float64)).tolist()))


@given(VALUES)
def test_a_bucket_stands_for_its_values_within_1_percent(value: float) -> None:
    assert abs(bucket_value(bucket_of(value)) - value) <= RELATIVE_ERROR * value * ROUNDING


@given(VALUES)
def test_edges_enclose_the_value(value: float) -> None:
    bucket = bucket_of(value)
    assert bucket_upper_edge(bucket - 1) / ROUNDING <= value <= bucket_upper_edge(bucket) * ROUNDING


@given(VALUES, VALUES)
def test_a_larger_value_is_in_no_lower_bucket(left: float, right: float) -> None:
    assert (bucket_of(left) <= bucket_of(right)) or left > right


@pytest.mark.parametrize("value", [0.0, 1e-300, SMALLEST_VALUE / 2, SMALLEST_VALUE])
def test_the_smallest_values_share_a_bucket(value: float) -> None:
    assert bucket_of(value) == bucket_of(SMALLEST_VALUE)


@given(st.lists(st.floats(0.001, WEEK_MS), min_size=1, max_size=300), st.integers(0, 100))
def test_a_quantile_is_within_1_percent_of_the_nearest_rank(
    values: list[float], percent: int
) -> None:
    rank = max(1, -(-percent * len(values) // 100))
    exact = sorted(values)[rank - 1]
    assert quantile(counted(values), percent / 100) == pytest.approx(
        exact, rel=RELATIVE_ERROR * ROUNDING
    )


@given(SPARSE, SPARSE, SPARSE)
def test_merging_is_adding_in_any_order(
    a: dict[int, int], b: dict[int, int], c: dict[int, int]
) -> None:
    whole = dict(sorted((Counter(a) + Counter(b) + Counter(c)).items()))
    assert merge(a, b, c) == merge(merge(a, b), c) == merge(a, merge(c, b)) == whole
    assert list(merge(b, a)) == sorted(merge(a, b))
    assert merge(a) == a
    assert merge() == {}


@given(st.lists(VALUES, max_size=50), st.lists(VALUES, max_size=50))
def test_merged_parts_are_the_whole(left: list[float], right: list[float]) -> None:
    assert merge(counted(left), counted(right)) == merge(counted([*left, *right]))


def test_quantiles_of_little() -> None:
    assert math.isnan(quantile({}, 0.5))
    assert quantile({5: 1}, 0.0) == quantile({5: 1}, 1.0) == bucket_value(5)
    assert quantile({5: 99, 900: 1}, 0.99) == bucket_value(5)
    assert quantile({5: 99, 900: 1}, 0.991) == bucket_value(900)
    assert quantile({900: 1, 5: 10**12}, 1.0) == bucket_value(900)


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_outside_of_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        quantile({1: 1}, q)


def test_hundredths() -> None:
    values = np.array([0.0, 0.004, 0.01, 0.5, 0.999, 1.0])
    assert hundredths(values).tolist() == [0, 0, 1, 50, 99, 100]


@given(st.floats(0, 1))
def test_hundredths_are_the_floor(value: float) -> None:
    found = int(hundredths(np.array([value]))[0])
    assert found / 100 <= value * ROUNDING + 1e-12
    assert value < (found + 1) / 100 * ROUNDING or found == 100
