"""The design effect: what earlier windows say about how alike requests are."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.design_effect import (
    FIRST_GUESS,
    after_stretch,
    design_effect,
    is_stretch,
    no_stretches,
)


def test_the_first_guess_is_soon_outweighed() -> None:
    known = no_stretches(2)
    assert design_effect(known).tolist() == [FIRST_GUESS, FIRST_GUESS]
    assert design_effect(known, 1.0).tolist() == [1.0, 1.0]
    for _ in range(10):
        known = after_stretch(known, np.array([[100.0, 5.0, 0.05], [np.nan, np.nan, np.nan]]))
    assert design_effect(known).tolist() == [1.0, FIRST_GUESS]


def test_stretches_that_scatter_as_chance_does_are_divided_by_one() -> None:
    rng = np.random.default_rng(1)
    known = no_stretches(1)
    for _ in range(2_000):
        known = after_stretch(known, np.array([[100.0, rng.binomial(100, 0.2), 0.16]]))
    assert design_effect(known)[0] == pytest.approx(1.0, abs=0.15)


def test_a_few_units_are_no_stretch() -> None:
    harm = np.array([[9.0, 1.0, 0.1], [10.0, 1.0, 0.1], [np.nan, np.nan, np.nan]])
    assert is_stretch(harm).tolist() == [False, True, False]
    assert not after_stretch(no_stretches(3), harm)[[0, 2]].any()
