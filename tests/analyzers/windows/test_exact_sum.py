"""Sums are what `math.fsum` says of all values, in whatever parts they come."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.windows.exact_sum import ExactSum, total

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda x: abs(x) < 1e300)


def sum_of(values: list[float]) -> ExactSum:
    made = ExactSum()
    made.add(values)
    return made


@given(st.lists(st.lists(FLOATS, max_size=20), max_size=4))
def test_it_is_the_rounded_exact_sum(parts: list[list[float]]) -> None:
    assert total(map(sum_of, parts)) == math.fsum(value for part in parts for value in part)


def test_many_values_are_kept_as_few_numbers() -> None:
    rng = random.Random(1)
    values = [rng.expovariate(1e-3) * rng.choice((1e-9, 1.0, -1e6)) for _ in range(20_000)]
    made = ExactSum()
    for start in range(0, len(values), 7):
        made.add(values[start : start + 7])
    assert len(made._by_power) < 200
    assert total([made]) == math.fsum(values)


def test_what_cancels_leaves_the_rest() -> None:
    assert total([sum_of([1e200, 1.0]), sum_of([-1e200])]) == 1.0
    assert total([ExactSum()]) == 0.0


def test_few_values_are_not_taken_apart() -> None:
    few = [sum_of([0.1] * 10), sum_of([0.2])]
    assert total(few) == math.fsum([0.1] * 10 + [0.2])
    assert not any(one._by_power for one in few)


def test_few_values_after_many_are_added_to_them() -> None:
    values = [0.1] * 5_000 + [1e-9] * 3
    made = sum_of(values[:5_000])
    made.add(values[5_000:])
    assert total([made, sum_of([0.3])]) == math.fsum([*values, 0.3])
    assert total([made]) == math.fsum(values)
