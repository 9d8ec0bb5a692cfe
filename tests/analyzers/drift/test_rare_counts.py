"""Rare outcomes: how surprising a few of them are."""

from __future__ import annotations

import pytest

from understudy.analyzers.drift.rare_counts import MANY, rare_p_value


def test_few_outcomes_are_little_surprise() -> None:
    # 5 where 1.2 are expected: 1 - exp(-1.2) (1 + 1.2 + 0.72 + 0.288 + 0.0864) = 0.0077
    assert rare_p_value(5.0, 1.2, 1.0) == pytest.approx(2 * 0.00775, rel=0.01)
    assert rare_p_value(15.0, 3.6, 3.0) == pytest.approx(rare_p_value(5.0, 1.2, 1.0))
    assert rare_p_value(97.0, 3.6, 3.0) < 1e-12


def test_fewer_than_expected_surprise_as_well() -> None:
    assert rare_p_value(0.0, 10.0, 1.0) == pytest.approx(2 * 4.54e-5, rel=0.01)
    assert rare_p_value(0.0, 0.0, 1.0) == 1.0
    assert rare_p_value(10.0, 10.0, 1.0) == 1.0


def test_many_are_told_by_another_test() -> None:
    assert rare_p_value(0.0, MANY, 1.0) == 0.0
