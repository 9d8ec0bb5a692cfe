"""Sums that are exact: held against Python's own integers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.windows.moments import (
    MAX_TICKS,
    join_limbs,
    product_limbs,
    to_ticks,
)
from understudy.schemas.events import MAX_COST_USD, MAX_DURATION_MS
from understudy.schemas.measure_kinds import LN_TICK
from understudy.schemas.measures import MS_TICK, SHARE_TICK, TOKEN_TICK, USD_TICK

TICKS = st.integers(-MAX_TICKS + 1, MAX_TICKS - 1)
ROWS = 10_000


def exact_sum(left: list[int], right: list[int]) -> int:
    parts = product_limbs(np.array(left, np.int64), np.array(right, np.int64))
    return join_limbs(*(int(part.sum()) for part in parts))


@given(st.lists(st.tuples(TICKS, TICKS), max_size=50))
def test_sums_of_products_are_exact(pairs: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    assert exact_sum(left, right) == sum(a * b for a, b in pairs)


@given(st.lists(TICKS, min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_adding_does_not_show(values: list[int], rng: object) -> None:
    assert exact_sum(values, values) == exact_sum(values[::-1], values[::-1])
    assert exact_sum(values, values) == sum(exact_sum([v], [v]) for v in values)


@pytest.mark.parametrize("value", [MAX_TICKS - 1, -(MAX_TICKS - 1)])
def test_ten_thousand_of_the_largest_do_not_overflow(value: int) -> None:
    assert exact_sum([value] * ROWS, [value] * ROWS) == ROWS * value * value
    assert exact_sum([value] * ROWS, [-value] * ROWS) == -ROWS * value * value


@given(
    st.floats(-1000, 1000),
    st.sampled_from([MS_TICK, LN_TICK, SHARE_TICK, USD_TICK, TOKEN_TICK]),
)
def test_ticks_are_the_value_within_half_a_tick(value: float, tick: float) -> None:
    (ticks,) = to_ticks(np.array([value]), tick).tolist()
    inverse = round(1 / tick)
    slack = Fraction(1, 2) + abs(Fraction(value)) * inverse * Fraction(1, 2**51)
    assert abs(ticks - Fraction(value) * inverse) <= slack


def test_nan_adds_nothing() -> None:
    assert to_ticks(np.array([np.nan, 1.0]), TOKEN_TICK).tolist() == [0, 1]
    assert to_ticks(np.array([]), TOKEN_TICK).tolist() == []


@pytest.mark.parametrize(
    ("value", "tick"),
    [
        (MAX_COST_USD, USD_TICK),
        (MAX_DURATION_MS, MS_TICK),
        (2.0**31 - 1, TOKEN_TICK),
        (np.log(MAX_DURATION_MS / 1e-6), LN_TICK),
        (1.0, SHARE_TICK),
    ],
)
def test_every_limit_of_the_contract_fits(value: float, tick: float) -> None:
    (ticks,) = to_ticks(np.array([value]), tick).tolist()
    assert ticks == round(Fraction(value) * round(1 / tick))
    assert exact_sum([ticks] * ROWS, [ticks] * ROWS) == ROWS * ticks**2


@pytest.mark.parametrize("value", [float(MAX_TICKS), -float(MAX_TICKS), np.inf, -np.inf])
def test_what_does_not_fit_is_refused(value: float) -> None:
    with pytest.raises(OverflowError):
        to_ticks(np.array([value]), TOKEN_TICK)
