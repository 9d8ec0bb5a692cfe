"""What the page of a rollout's traffic shows of drift. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.analyzers.drift.change_sentences import change, compared_periods, summary, values
from understudy.analyzers.drift.side_drift import DriftFinding
from understudy.streams.clickhouse.drift_watch import SideLook


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One metric of a side, then and now."""

    metric: str
    language: str
    before: str
    now: str
    change: str


@dataclass(frozen=True, slots=True)
class SideRows:
    """One side against its own past."""

    side: str
    summary: str
    periods: str
    rows: list[DriftRow]
    """What has changed."""


def drift_rows(looks: Sequence[SideLook]) -> list[SideRows]:
    """Return both sides, those without traffic left out."""
    return [
        SideRows(
            look.side.capitalize(),
            summary(look.drift, look.hours),
            compared_periods(look.drift) if look.drift is not None else "",
            [_row(one) for one in look.drift.alerts] if look.drift is not None else [],
        )
        for look in looks
        if look.hours
    ]


def _row(one: DriftFinding) -> DriftRow:
    before, now = values(one)
    return DriftRow(one.metric.title, one.language or "all", before, now, change(one))
