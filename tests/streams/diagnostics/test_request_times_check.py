"""Sides of a pair that were stamped at different times."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.streams.diagnostics.samples import NOW, OK, WARN, levels, record
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.request_times_check import check_request_times

TOLERANCE_MS = 5_000


def pairs(apart_s: float, count: int = 10) -> list[SampledEvent]:
    """Pairs of sides that lie so far apart."""
    later = (NOW + dt.timedelta(seconds=apart_s)).isoformat()
    return [
        one
        for n in range(count)
        for one in (
            record(n, request_time=NOW.isoformat()),
            record(n, "candidate", request_time=later),
        )
    ]


@pytest.mark.parametrize(
    ("sample", "expected", "said"),
    [
        ([], [OK], "the same on all sides of 0 pairs"),
        (pairs(0), [OK], "the same on all sides of 10 pairs"),
        (pairs(0.003), [OK], "10 of 10 pairs have sides with different request times, 0.003 s"),
        (pairs(2.5), [OK], "2.5 s apart at most; within the tolerance"),
        (pairs(4.0), [WARN], "10 of 10 pairs have request times up to 4 s apart"),
        (pairs(5.0), [WARN], "up to 5 s apart, and 5 s is the tolerance"),
        (pairs(5.001), [WARN], "more than 5 s apart: they are not joined"),
        (pairs(120.0), [WARN], "more than 5 s apart"),
        (pairs(120.001), [OK], "0 pairs"),
        ([record(n) for n in range(9)], [OK], "0 pairs"),
    ],
)
def test_request_times(sample: list[SampledEvent], expected: list[Level], said: str) -> None:
    findings = check_request_times(sample, TOLERANCE_MS, join_timeout_ms=120_000)
    assert levels(findings) == expected
    assert said in findings[0].seen
