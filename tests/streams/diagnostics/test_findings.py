"""Numbers in findings."""

from __future__ import annotations

from understudy.streams.diagnostics.findings import numbers


def test_numbers_for_people() -> None:
    assert numbers([3, 1, 2]) == "1, 2, 3"
    assert numbers(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
