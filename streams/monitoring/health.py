"""The result of a health check, and how the results of several components combine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class HealthStatus(StrEnum):
    """The outcome of a health check."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works as far as it can; a service that it depends on is unavailable."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The outcome of a health check and its reasons."""

    status: HealthStatus
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a probe should pass."""
        return self.status is not HealthStatus.FAILING


_WORST_FIRST: Final = (HealthStatus.FAILING, HealthStatus.DEGRADED, HealthStatus.OK)


def combined(reports: Iterable[HealthReport]) -> HealthReport:
    """Combine several reports: the worst status, with the reasons for the worst first."""
    ordered = sorted(reports, key=lambda report: _WORST_FIRST.index(report.status))
    status = ordered[0].status if ordered else HealthStatus.OK
    return HealthReport(status, tuple(reason for report in ordered for reason in report.reasons))
