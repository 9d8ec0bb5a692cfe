from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.fixed_sample import binomial
from understudy.analyzers.fixed_sample.share_limits import ShareLimitTest


def test_it_is_the_binomial_test() -> None:
    units = np.array([[1.0, 1.0, 1.0]] * 8 + [[1.0, 0.0, 0.0]] * 192)
    test = ShareLimitTest.of(units, 0.02)
    assert (test.cases, test.design_effect, test.is_testable) == (200, 1.0, True)
    assert test.p_harm(0.01) == binomial.at_least(8, 200, 0.02)
    assert test.p_within(0.05) == binomial.at_most(8, 200, 0.02)
    assert test.interval(0.05) == binomial.interval(8, 200, 0.05)
    smallest = test.smallest_harm_found(0.01)
    assert smallest is not None
    bad = round(200 * smallest)
    assert binomial.at_least(bad, 200, 0.02) <= 0.01 < binomial.at_least(bad - 1, 200, 0.02)
    assert test.cases_needed(0.05) == 149


def test_conversations_are_counted_once() -> None:
    units = np.array([[10.0, 10.0, 10.0]] * 3 + [[10.0, 0.0, 0.0]] * 27)
    test = ShareLimitTest.of(units, 0.02)
    assert test.design_effect == pytest.approx(10.0, rel=0.05)
    assert (test.independent, test.bad_for_harm, test.bad_for_within) == (30, 3, 3)


def test_a_sample_too_small_shows_nothing() -> None:
    test = ShareLimitTest.of(np.array([[1.0, 1.0, 1.0]]), 0.02)
    assert test.smallest_harm_found(1e-9) is None
    assert ShareLimitTest.of(np.zeros((1, 3)), 0.02).is_testable is False
