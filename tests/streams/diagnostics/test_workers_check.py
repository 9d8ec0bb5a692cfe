"""Groups without workers, with idle ones, with unread partitions."""

from __future__ import annotations

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.workers_check import Group, Member, check_workers


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group("g", "EMPTY", ()), [FAIL]),
        (Group("g", "STABLE", (Member((0, 1, 2, 3)),)), [OK]),
        (Group("g", "STABLE", (Member((0, 1)), Member((2, 3)), Member(()))), [WARN]),
        (Group("g", "STABLE", (Member((0, 1)),)), [FAIL]),
        (Group("g", "STABLE", (Member((0, 1)), Member(()))), [FAIL, WARN]),
        (Group("g", "PREPARING_REBALANCING", (Member(()),)), [WARN]),
    ],
)
def test_workers(group: Group, expected: list[Level]) -> None:
    assert levels(check_workers(group, 4)) == expected
