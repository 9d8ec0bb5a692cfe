"""Thresholds of tails: learnt again and again from earlier requests, fixed before they judge."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from understudy.analyzers.guardrails.tail_thresholds import (
    GENERATION_UNITS,
    LEAST_SPACING_MS,
    MOST_ENTRIES,
    ClosedHistograms,
    TailThreshold,
    ThresholdEntry,
)
from understudy.analyzers.sequential.tail_buckets import ENOUGH_UNITS


def test_nothing_is_known_before_enough_requests() -> None:
    threshold = TailThreshold()
    threshold.learn({3: ENOUGH_UNITS - 1}, 50_000)
    assert threshold.bucket(0.95, 60_000) is None
    assert threshold.units == ENOUGH_UNITS - 1
    threshold.learn({3: 1}, 70_000)
    assert threshold.bucket(0.95, 60_000) is None, "windows seen by then are not judged"
    assert threshold.bucket(0.95, 70_000) == 3


def test_a_window_goes_on_being_judged_by_what_held_when_it_began() -> None:
    threshold = TailThreshold()
    threshold.learn({3: ENOUGH_UNITS}, 10_000)
    threshold.learn({9: GENERATION_UNITS}, 100_000)
    threshold.learn({9: GENERATION_UNITS}, 200_000)
    assert [threshold.bucket(0.95, at) for at in (0, 10_000, 99_999, 100_000, 300_000)] == [
        None, 3, 3, 9, 9,
    ]  # fmt: skip


def test_a_slow_start_is_soon_forgotten() -> None:
    threshold = TailThreshold()
    for minute in range(10):
        threshold.learn({40 if minute < 4 else 5: 600}, 60_000 * (minute + 1))
    assert threshold.bucket(0.99, 10**9) == 5


@pytest.mark.parametrize("later", [5, 90])
def test_what_fits_no_longer_is_forgotten_with_the_next_generation(later: int) -> None:
    """Nobody, or everybody, exceeds a threshold of other times."""
    threshold = TailThreshold()
    usual, other = ({base: 230, base + 3: 15, base + 6: 5} for base in (40, later))
    for window in range(20):
        threshold.learn(usual, 10_000 * window)
    threshold.learn(other, 201_000)
    assert threshold.buckets["0.95"] == later + 3
    assert threshold.units == GENERATION_UNITS


def test_chance_alone_seldom_makes_a_threshold_forget() -> None:
    rng = np.random.default_rng(1)
    threshold = TailThreshold()
    forgotten = 0
    for window in range(4_000):
        drawn = rng.normal(300.0, 25.0, size=GENERATION_UNITS).astype(np.int64)
        found, counts = np.unique(drawn, return_counts=True)
        threshold.learn(dict(zip(found.tolist(), counts.tolist(), strict=True)), 10_000 * window)
        forgotten += window > 1 and threshold.units == GENERATION_UNITS
    assert forgotten < 40


def test_thresholds_are_spaced_and_the_number_remembered_is_bounded() -> None:
    threshold = TailThreshold()
    for second in range(1_000_000 // LEAST_SPACING_MS * 100):
        fitting = {second % 90: GENERATION_UNITS - 14, 100: 6, 200: 8}
        threshold.learn(fitting, 1_000 * second)
    gaps = [
        later.since_ms - earlier.since_ms
        for earlier, later in zip(threshold.entries, threshold.entries[1:], strict=False)
    ]
    assert min(gaps) >= LEAST_SPACING_MS
    assert len(threshold.entries) <= MOST_ENTRIES


@pytest.mark.parametrize("splits", [1, 7])
def test_it_survives_json(splits: int) -> None:
    threshold = TailThreshold()
    for number in range(splits):
        threshold.learn({number: 2_000, 50: 30}, 60_000 * number)
    payload = msgspec.json.encode(threshold)
    assert msgspec.json.decode(payload, type=TailThreshold) == threshold


def test_no_requests_teach_nothing() -> None:
    threshold = TailThreshold()
    threshold.learn({}, 10)
    assert threshold == TailThreshold()


def test_many_windows_at_once_are_learnt_as_one_after_the_other() -> None:
    rng = np.random.default_rng(4)
    windows = 1_200
    units = rng.poisson(rng.choice([0.0, 3.0, 40.0, 900.0], windows, p=[0.1, 0.6, 0.25, 0.05]))
    steps = np.repeat(np.arange(windows), units)
    buckets = rng.normal(300.0 + steps / 10.0, 20.0).astype(np.int64)
    unseen_from_ms = 10_000 * np.arange(1, windows + 1)
    together = TailThreshold()
    held: list[ThresholdEntry] = []
    for part in (slice(0, 3), slice(3, 150), slice(150, 150), slice(150, windows)):
        inside = (steps >= part.start) & (steps < part.stop)
        some = ClosedHistograms(
            unseen_from_ms[part],
            steps[inside] - part.start,
            buckets[inside],
            np.ones(int(inside.sum())),
        )
        held += [one for one in together.learn_windows(some) if one not in held]
    single = TailThreshold()
    entries: list[ThresholdEntry] = []
    for step in range(windows):
        found, counts = np.unique(buckets[steps == step], return_counts=True)
        histogram = dict(zip(found.tolist(), counts.tolist(), strict=True))
        single.learn(histogram, int(unseen_from_ms[step]))
        entries += [one for one in single.entries[-1:] if one not in entries]
    assert together == single
    assert len(held) > MOST_ENTRIES
    assert held == entries
