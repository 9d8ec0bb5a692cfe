"""Student's t against tables."""

from __future__ import annotations

import pytest

from understudy.analyzers.drift.student import student_p_value, student_quantile

TABLE = [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (8, 2.30600), (30, 2.04227)]
"""Beyond these lie 5 % (Abramowitz and Stegun, table 26.10)."""


@pytest.mark.parametrize(("freedom", "t"), TABLE)
def test_chances_and_quantiles_are_those_of_the_table(freedom: int, t: float) -> None:
    assert student_p_value(t, freedom) == pytest.approx(0.05, rel=1e-4)
    assert student_p_value(-t, freedom) == student_p_value(t, freedom)
    assert student_quantile(0.05, freedom) == pytest.approx(t, rel=1e-5)


def test_tails_end() -> None:
    assert student_p_value(0.0, 7) == 1.0
    assert student_p_value(5.408, 7) == pytest.approx(0.001, rel=1e-3)
    assert student_p_value(1e9, 28) < 1e-14
