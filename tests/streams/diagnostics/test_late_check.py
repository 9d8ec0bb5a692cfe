"""Late events: a share above what policies tolerate is a finding."""

from __future__ import annotations

from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.late_check import LateCounts, check_late


def test_a_share_above_the_limit_is_a_finding_with_what_to_do() -> None:
    counts = [LateCounts("old", 2276, 2400), LateCounts("fine", 5, 100), LateCounts("all", 9, 9)]
    first, second = check_late(counts)
    assert first.level is Level.FAIL
    assert first.seen.startswith("old: 2,276 of 2,400 events came late")
    assert "understudy replay" in first.advice
    assert second.seen.startswith("all: 9 of 9")


def test_few_late_events_are_no_finding() -> None:
    assert list(check_late([LateCounts("fine", 5, 100)])) == []
    assert list(check_late([])) == []
