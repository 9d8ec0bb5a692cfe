"""Alive and ready, case by case, with time as a number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from understudy.streams.monitoring.health import (
    Condition,
    Place,
    ProgressWatch,
    Stall,
    Status,
    health,
    readiness,
)

FINE = Condition(outside=())
STALL = Stall(place=Place("events", 2), position=17, lag=5, stands_s=61.0)


@pytest.mark.parametrize(
    ("condition", "alive", "ready"),
    [
        (FINE, Status.OK, Status.OK),
        (replace(FINE, outside=("events",)), Status.OK, Status.BAD),
        (replace(FINE, outside=("feedback",)), Status.OK, Status.BAD),
        (replace(FINE, stalls=(STALL,)), Status.BAD, Status.BAD),
        (replace(FINE, clickhouse_healthy=False), Status.DEGRADED, Status.DEGRADED),
        (replace(FINE, kafka_reachable=False), Status.DEGRADED, Status.DEGRADED),
        (replace(FINE, loader_broken="no rights"), Status.BAD, Status.BAD),
        (
            replace(FINE, clickhouse_healthy=False, loader_broken="no rights"),
            Status.BAD,
            Status.BAD,
        ),
        (Condition(), Status.OK, Status.BAD),
    ],
)
def test_reports(condition: Condition, alive: Status, ready: Status) -> None:
    assert health(condition).status is alive
    assert readiness(condition).status is ready


@pytest.mark.parametrize("status", Status)
def test_degraded_passes_a_probe(status: Status) -> None:
    conditions = {
        Status.OK: FINE,
        Status.DEGRADED: replace(FINE, clickhouse_healthy=False),
        Status.BAD: replace(FINE, loader_broken="x"),
    }
    report = health(conditions[status])
    assert report.ok is (status is not Status.BAD)
    assert bool(report.reasons) is (status is not Status.OK)


def test_reasons_say_where_and_how_long() -> None:
    (reason,) = health(replace(FINE, stalls=(STALL,))).reasons
    assert reason == "partition 2 of events has stood at offset 17 for 61 s with 5 records to read"


def test_what_is_missing_of_the_groups_is_named() -> None:
    (reason,) = readiness(replace(FINE, outside=("feedback",))).reasons
    assert reason == "not yet a member of the group that reads feedback"


def test_partitions_of_the_same_number_are_watched_apart() -> None:
    watch = ProgressWatch(stall_s=60.0)
    events, feedback = Place("events", 0), Place("feedback", 0)
    for now_s, moved in ((0.0, 5), (70.0, 6)):
        watch.see({events: moved, feedback: 5}, {events: 9, feedback: 9}, now_s)
    assert [stall.place for stall in watch.suspects(70.0)] == [feedback]


Look = tuple[float, dict[int, int], dict[int, int]]
"""Time, positions, ends."""


def of_feedback(offsets: dict[int, int]) -> dict[Place, int]:
    return {Place("feedback", number): offset for number, offset in offsets.items()}


@pytest.mark.parametrize(
    ("looks", "at_s", "expected"),
    [
        ("idle for ever", 1e6, []),
        ("moves slowly", 200.0, []),
        ("stands with a lag", 59.0, []),
        ("stands with a lag", 60.0, [(0, 5, 3)]),
        ("lag begins late", 1059.0, []),
        ("lag begins late", 1060.0, [(0, 5, 4)]),
        ("rewinds", 130.0, []),
        ("one of two", 100.0, [(1, 7, 2)]),
        ("was taken away", 500.0, []),
        ("comes back", 149.0, []),
        ("comes back", 160.0, [(0, 5, 5)]),
        ("end is not known", 500.0, []),
        ("end is no longer known", 60.0, [(0, 5, 3)]),
        ("catches up", 500.0, []),
    ],
)
def test_when_a_partition_stalls(
    looks: str, at_s: float, expected: list[tuple[int, int, int]]
) -> None:
    watch = ProgressWatch(stall_s=60.0)
    for now_s, positions, ends in HISTORIES[looks]:
        watch.see(of_feedback(positions), of_feedback(ends), now_s)
    assert [(s.place.partition, s.position, s.lag) for s in watch.suspects(at_s)] == expected


HISTORIES: dict[str, list[Look]] = {
    "idle for ever": [(0, {0: 5}, {0: 5}), (9e5, {0: 5}, {0: 5})],
    "moves slowly": [(30.0 * n, {0: n}, {0: 1000}) for n in range(6)],
    "stands with a lag": [(0, {0: 5}, {0: 8}), (50, {0: 5}, {0: 8})],
    "lag begins late": [(0, {0: 5}, {0: 5}), (1000, {0: 5}, {0: 5}), (1002, {0: 5}, {0: 9})],
    "rewinds": [(0, {0: 50}, {0: 80}), (55, {0: 50}, {0: 80}), (100, {0: 20}, {0: 80})],
    "one of two": [(0, {0: 5, 1: 7}, {0: 9, 1: 9}), (90, {0: 6, 1: 7}, {0: 9, 1: 9})],
    "was taken away": [(0, {0: 5}, {0: 9}), (10, {}, {})],
    "comes back": [(0, {0: 5}, {0: 9}), (50, {}, {}), (100, {0: 5}, {0: 10})],
    "end is not known": [(0, {0: 5}, {})],
    "end is no longer known": [(0, {0: 5}, {0: 8}), (50, {0: 5}, {})],
    "catches up": [(0, {0: 5}, {0: 8}), (50, {0: 8}, {0: 8})],
}


def test_marks_of_transactions_are_no_lag() -> None:
    watch = ProgressWatch(stall_s=60.0)
    here, elsewhere = Place("events", 0), Place("feedback", 0)
    watch.see({here: 5}, {here: 6}, 0.0)
    assert watch.suspects(60.0)
    watch.nothing_to_read(here, 60.0)
    assert watch.suspects(61.0) == []
    watch.nothing_to_read(elsewhere, 60.0)
