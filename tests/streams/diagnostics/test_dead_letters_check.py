"""Dead letters, few or many."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels
from understudy.streams.diagnostics.dead_letters_check import check_dead_letters
from understudy.streams.diagnostics.findings import Level


@pytest.mark.parametrize(
    ("reasons", "events", "expected"),
    [
        ({}, 0, [OK]),
        ({"schema": 1}, 1000, [WARN]),
        ({"schema": 8, "not_json": 3}, 1000, [FAIL, FAIL]),
        ({"\x1b[2J": 1}, 1000, [WARN]),
    ],
)
def test_dead_letters(reasons: dict[str, int], events: int, expected: list[Level]) -> None:
    findings = check_dead_letters(Counter(reasons), events)
    assert levels(findings) == expected
    assert all(one.seen.isprintable() for one in findings)
