"""Pauses between attempts: they double, up to a longest one, and differ by chance."""

from __future__ import annotations

import random

from understudy.streams.backoff import pause_s


def test_pauses_double_up_to_the_longest() -> None:
    rng = random.Random(1)
    for attempt, full_s in enumerate((0.5, 1.0, 2.0, 4.0, 5.0, 5.0)):
        pauses_s = [pause_s(attempt, 0.5, 5.0, rng) for _ in range(200)]
        assert full_s / 2 <= min(pauses_s) < 0.6 * full_s
        assert 0.9 * full_s < max(pauses_s) <= full_s


def test_an_outage_may_last_for_years() -> None:
    assert 2.5 <= pause_s(10**9, 0.5, 5.0, random.Random(1)) <= 5.0
