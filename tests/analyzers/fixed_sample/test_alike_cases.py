from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.fixed_sample.alike_cases import design_effect, fewer, more


def test_single_cases_are_independent() -> None:
    bad = np.zeros(200)
    bad[:20] = 1.0
    assert design_effect(np.ones(200), bad, 20.0) == 1.0


def test_conversations_of_one_fate_count_once() -> None:
    sizes, sums = np.full(200, 5.0), np.zeros(200)
    sums[:20] = 5.0
    assert design_effect(sizes, sums, 100.0) == pytest.approx(5.0, rel=0.02)


def test_turns_that_fail_independently_count_nearly_all() -> None:
    rng = np.random.default_rng(1)
    sums = rng.binomial(5, 0.2, size=400).astype(float)
    assert 1.0 <= design_effect(np.full(400, 5.0), sums, float(sums.sum())) < 1.3


def test_nothing_is_believed_of_what_was_not_seen() -> None:
    assert design_effect(np.full(100, 5.0), np.zeros(100), 0.0) == 5.0
    few = np.array([0.0, 1.0, 0.0, 1.0])
    assert design_effect(np.full(4, 5.0), few, 2.0) == 5.0
    assert design_effect(np.zeros(0), np.zeros(0), 0.0) == 1.0


def test_counts_are_rounded_to_either_side() -> None:
    assert (fewer(10, 3.0), more(10, 3.0)) == (3, 4)
    assert (fewer(9, 3.0), more(9, 3.0)) == (3, 3)
