"""Rows of traffic, chosen by their hours."""

from __future__ import annotations

import numpy as np

from tests.analyzers.drift.traffic import FIRST, traffic
from understudy.analyzers.drift.periods import Hours


def test_rows_are_chosen_by_their_hours() -> None:
    sums = traffic(np.random.default_rng(0), 2)
    chosen = sums.where(sums.within(Hours(FIRST + 3, FIRST + 5)))
    assert chosen.hours.tolist() == [FIRST + 3, FIRST + 4] * 2
    assert chosen.languages.tolist() == ["en", "en", "ja", "ja"]
    assert all(values.shape == (4,) for values in chosen.columns.values())


def test_the_span_is_that_of_requests() -> None:
    sums = traffic(np.random.default_rng(0), 2)
    assert sums.span() == (FIRST, FIRST + 48)
    sums.columns["requests"][:] = np.where(sums.hours < FIRST + 10, 0.0, 1.0)
    assert sums.span() == (FIRST + 10, FIRST + 48)
    sums.columns["requests"][:] = 0.0
    assert sums.span() is None
