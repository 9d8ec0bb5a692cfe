"""Sides that are missing or rare."""

from __future__ import annotations

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, both, levels, record
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.sides_check import check_sides


def single(side: str, count: int) -> list[SampledEvent]:
    return [record(n, side, mode="ab", sides=[side]) for n in range(count)]


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ([], [OK]),
        (both(30), [OK]),
        (both(30) + [record(n) for n in range(40, 43)], [OK]),
        (both(30) + [record(n) for n in range(40, 60)], [WARN]),
        ([record(n) for n in range(30)], [FAIL]),
        ([record(n, "candidate") for n in range(30)], [FAIL]),
        ([record(n) for n in range(5)], [OK]),
        (single("stable", 95) + single("candidate", 5), [OK]),
        (single("stable", 95), [FAIL]),
    ],
)
def test_sides(sample: list[SampledEvent], expected: list[Level]) -> None:
    assert levels(check_sides(sample)) == expected
