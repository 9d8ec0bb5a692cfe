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
