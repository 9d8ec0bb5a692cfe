"""Clocks that run ahead or behind."""

from __future__ import annotations

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels, record
from understudy.streams.diagnostics.clocks_check import check_clocks
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Level


def at(gateway: str, arrived_s: float, count: int = 30) -> list[SampledEvent]:
    return [
        record(n, arrived_s=arrived_s, attributes={"gateway": gateway} if gateway else {})
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("sample", "expected", "seen"),
    [
        ([], [OK], "no events"),
        (at("a", 1.0), [OK], "0.0 s ahead"),
        (at("a", -0.5), [OK], "0.5 s ahead"),
        (at("a", -5.0), [WARN], "gateway a"),
        (at("a", 1.0) + at("b", -61.0), [FAIL], "gateway b"),
        (at("a", 1.0) + at("b", 30.0), [WARN], "gateway b"),
        (at("a", 1.0) + at("b", 122.0), [FAIL], "gateway b"),
        (at("", 500.0), [WARN], "rollout helpdesk"),
        (at("a", 1.0) + at("b", 500.0, count=3), [OK], "ahead"),
        ([record(1, broker_time=False)], [WARN], "producers' times"),
    ],
)
def test_clocks(sample: list[SampledEvent], expected: list[Level], seen: str) -> None:
    findings = check_clocks(sample, max_clock_skew_ms=60_000, join_timeout_ms=120_000)
    assert levels(findings) == expected
    assert seen in findings[0].seen


def test_a_slow_answer_is_no_slow_clock() -> None:
    slow = [record(n, arrived_s=60.0, timing={"duration_ms": 59_500.0}) for n in range(30)]
    findings = check_clocks(slow, max_clock_skew_ms=60_000, join_timeout_ms=120_000)
    assert levels(findings) == [OK]
