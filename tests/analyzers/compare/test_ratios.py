"""Ratios of paired quantities, and where there is none."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.compare.ratios import comparable, ratio

STABLE = np.array([200.0, 200.0, 0.0, np.nan, 200.0])
CANDIDATE = np.array([300.0, 50.0, 100.0, 100.0, np.nan])


def test_a_ratio_is_candidate_over_stable_where_both_are_known() -> None:
    np.testing.assert_array_equal(ratio(STABLE, CANDIDATE), [1.5, 0.25, np.nan, np.nan, np.nan])


def test_of_no_pairs_there_are_no_ratios() -> None:
    assert ratio(np.array([]), np.array([])).shape == (0,)


def test_comparable_are_pairs_of_answers_in_known_times() -> None:
    answered = np.array([True, False, True, True, True])
    assert comparable(STABLE, CANDIDATE, answered).tolist() == [True, False, False, False, False]
