"""Wealth adds up in any order and is divided as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.wealth import Wealth

INCREMENTS = st.lists(
    st.lists(st.floats(-5.0, 5.0), min_size=3, max_size=3).map(np.array), max_size=6
)


def summed(windows: list[np.ndarray]) -> Wealth:
    wealth = Wealth.begin(3)
    for increments in windows:
        wealth = wealth.after(increments)
    return wealth


def test_at_the_beginning_there_is_no_evidence() -> None:
    begun = Wealth.begin(3)
    assert begun.log_wealth.tolist() == [0.0, 0.0, 0.0]
    assert begun.log_evidence == pytest.approx(0.0)


def test_evidence_is_that_of_the_summed_increments() -> None:
    windows = [np.array([0.5, -0.25, 1.0]), np.array([0.25, -0.25, 2.0])]
    wealth = summed(windows)
    assert wealth.log_wealth.tolist() == [0.75, -0.5, 3.0]
    assert wealth.log_evidence == pytest.approx(float(log_evidence(np.array([0.75, -0.5, 3.0]))))


@given(left=INCREMENTS, right=INCREMENTS)
def test_parts_add_up_to_the_whole_in_either_order(
    left: list[np.ndarray], right: list[np.ndarray]
) -> None:
    whole = summed(left + right).log_wealth
    np.testing.assert_allclose((summed(left) + summed(right)).log_wealth, whole, atol=1e-12)
    np.testing.assert_allclose((summed(right) + summed(left)).log_wealth, whole, atol=1e-12)


def test_overdispersion_divides_the_whole_sum_by_what_is_known_last() -> None:
    increments = np.array([3.0, 6.0])
    wealth = Wealth.begin(2).after(increments, 3.0)
    assert wealth.log_wealth.tolist() == [1.0, 2.0]
    assert wealth.after(increments, 2.0).log_wealth.tolist() == [3.0, 6.0]
    assert wealth.divided_by(1.0).log_wealth.tolist() == [3.0, 6.0]


def test_of_two_parts_the_larger_overdispersion_counts() -> None:
    parts = Wealth.begin(1).after(np.array([4.0]), 2.0) + Wealth.begin(1).after(np.array([4.0]))
    assert parts.overdispersion == 2.0
    assert parts.log_wealth.tolist() == [4.0]


def test_overdispersion_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Wealth.begin(1).divided_by(0.9)


def test_parts_with_different_bets_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        Wealth.begin(1) + Wealth.begin(2)
