"""When a partition counts as stalled, with time as a number."""

from __future__ import annotations

import pytest

from understudy.streams.monitoring.stall_detector import SourcePartition, StallDetector


def test_partitions_of_the_same_number_are_told_apart() -> None:
    detector = StallDetector(stall_timeout_s=60.0)
    events, feedback = SourcePartition("events", 0), SourcePartition("feedback", 0)
    for now_s, moved in ((0.0, 5), (70.0, 6)):
        detector.observe({events: moved, feedback: 5}, {events: 9, feedback: 9}, now_s)
    assert [stalled.place for stalled in detector.suspects(70.0)] == [feedback]


Observation = tuple[float, dict[int, int], dict[int, int]]
"""Time, positions, ends."""


def in_feedback(offsets: dict[int, int]) -> dict[SourcePartition, int]:
    return {SourcePartition("feedback", number): offset for number, offset in offsets.items()}


@pytest.mark.parametrize(
    ("history", "at_s", "expected"),
    [
        ("idle forever", 1e6, []),
        ("moves slowly", 200.0, []),
        ("does not move with a lag", 59.0, []),
        ("does not move with a lag", 60.0, [(0, 5, 3)]),
        ("lag begins late", 1059.0, []),
        ("lag begins late", 1060.0, [(0, 5, 4)]),
        ("rewinds", 130.0, []),
        ("one of two", 100.0, [(1, 7, 2)]),
        ("was revoked", 500.0, []),
        ("comes back", 149.0, []),
        ("comes back", 160.0, [(0, 5, 5)]),
        ("end is unknown", 500.0, []),
        ("end becomes unknown", 60.0, [(0, 5, 3)]),
        ("catches up", 500.0, []),
    ],
)
def test_when_a_partition_stalls(
    history: str, at_s: float, expected: list[tuple[int, int, int]]
) -> None:
    detector = StallDetector(stall_timeout_s=60.0)
    for now_s, positions, ends in HISTORIES[history]:
        detector.observe(in_feedback(positions), in_feedback(ends), now_s)
    assert [(s.place.partition, s.position, s.lag) for s in detector.suspects(at_s)] == expected


HISTORIES: dict[str, list[Observation]] = {
    "idle forever": [(0, {0: 5}, {0: 5}), (9e5, {0: 5}, {0: 5})],
    "moves slowly": [(30.0 * n, {0: n}, {0: 1000}) for n in range(6)],
    "does not move with a lag": [(0, {0: 5}, {0: 8}), (50, {0: 5}, {0: 8})],
    "lag begins late": [(0, {0: 5}, {0: 5}), (1000, {0: 5}, {0: 5}), (1002, {0: 5}, {0: 9})],
    "rewinds": [(0, {0: 50}, {0: 80}), (55, {0: 50}, {0: 80}), (100, {0: 20}, {0: 80})],
    "one of two": [(0, {0: 5, 1: 7}, {0: 9, 1: 9}), (90, {0: 6, 1: 7}, {0: 9, 1: 9})],
    "was revoked": [(0, {0: 5}, {0: 9}), (10, {}, {})],
    "comes back": [(0, {0: 5}, {0: 9}), (50, {}, {}), (100, {0: 5}, {0: 10})],
    "end is unknown": [(0, {0: 5}, {})],
    "end becomes unknown": [(0, {0: 5}, {0: 8}), (50, {0: 5}, {})],
    "catches up": [(0, {0: 5}, {0: 8}), (50, {0: 8}, {0: 8})],
}


def test_markers_of_transactions_are_no_lag() -> None:
    detector = StallDetector(stall_timeout_s=60.0)
    here, elsewhere = SourcePartition("events", 0), SourcePartition("feedback", 0)
    detector.observe({here: 5}, {here: 6}, 0.0)
    assert detector.suspects(60.0)
    detector.nothing_to_read(here, 60.0)
    assert detector.suspects(61.0) == []
    detector.nothing_to_read(elsewhere, 60.0)
