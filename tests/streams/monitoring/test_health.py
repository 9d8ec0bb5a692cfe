"""How health reports combine."""

from __future__ import annotations

import pytest

from understudy.streams.monitoring.health import HealthReport, HealthStatus, combined

FINE = HealthReport(HealthStatus.OK)
DEGRADED = HealthReport(HealthStatus.DEGRADED, ("ClickHouse is away",))
FAILING = HealthReport(HealthStatus.FAILING, ("it does not move",))


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], FINE),
        ([FINE, FINE], FINE),
        ([FINE, DEGRADED], DEGRADED),
        (
            [DEGRADED, FAILING, FINE],
            HealthReport(HealthStatus.FAILING, ("it does not move", "ClickHouse is away")),
        ),
    ],
)
def test_several_are_as_bad_as_the_worst(
    reports: list[HealthReport], expected: HealthReport
) -> None:
    assert combined(reports) == expected
