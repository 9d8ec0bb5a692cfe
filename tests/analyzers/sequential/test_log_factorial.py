"""Logarithms of factorials and binomial coefficients, compared with exact integers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.sequential.log_factorial import log_choose, log_factorial

TABLE_ENDS = (1022, 1023, 1024, 1025)
"""Below 1024 the values come from a table, above it from a series."""


@pytest.mark.parametrize("n", [0, 1, 2, 20, 170, *TABLE_ENDS, 10_000])
def test_it_is_the_logarithm_of_the_exact_factorial(n: int) -> None:
    exact = math.log(math.factorial(n)) if n < 3000 else math.lgamma(n + 1)
    assert float(log_factorial(n)) == pytest.approx(exact, rel=1e-13, abs=1e-13)


def test_shapes_are_kept_and_table_and_series_mix() -> None:
    numbers = np.array([[3, 2000], [0, 1024]])
    values = log_factorial(numbers)
    assert values.shape == (2, 2)
    expected = [[math.lgamma(n + 1) for n in row] for row in numbers.tolist()]
    np.testing.assert_allclose(values, expected, rtol=1e-13)
    assert log_factorial([]).shape == (0,)


@given(n=st.integers(0, 3000), k=st.integers(-2, 3002))
def test_a_binomial_coefficient_is_that_of_integers(n: int, k: int) -> None:
    value = float(log_choose(n, k))
    if 0 <= k <= n:
        assert value == pytest.approx(math.log(math.comb(n, k)), rel=1e-10, abs=1e-9)
    else:
        assert value == -math.inf


def test_coefficients_broadcast() -> None:
    values = log_choose(np.array([4, 5])[:, None], np.array([0, 1, 5]))
    np.testing.assert_allclose(
        np.exp(values), [[1.0, 4.0, 0.0], [1.0, 5.0, 1.0]], rtol=1e-12, atol=0.0
    )
