"""What the page of one guardrail in one slice shows: its figures, and how they grew. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.evidence_figures import multiple, times
from understudy.analyzers.guardrails.formatting import format_number
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.sequential.weights import weighted_log_evidence
from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.clickhouse.evidence_history import EvidencePoint
from understudy.streams.dashboard.charts import Chart, Line
from understudy.streams.dashboard.evidence_rows import EvidenceRow, evidence_rows
from understudy.streams.dashboard.pair_filter import pairs_query

_DIGITS: Final = 12
"""Of sums: all that counts ever have."""
_ROOM: Final = 0.1
"""Share of a chart left free above and below."""


@dataclass(frozen=True, slots=True)
class EvidencePage:
    """One guardrail in one slice."""

    row: EvidenceRow
    others: list[EvidenceRow]
    """The same guardrail in other slices: all requests, then the worst, then the largest."""
    statistics: list[tuple[str, str]]
    charts: list[Chart]
    pairs_query: str
    """Of the page of pairs: those that show what the guardrail found."""


def evidence_page(
    decision: Decision, one: Evidence, points: Sequence[EvidencePoint]
) -> EvidencePage:
    """Return what the page shows of a piece of evidence and its past."""
    charts = [_evidence_chart(points), _harm_chart(one, points)] if len(points) > 1 else []
    return EvidencePage(
        row=evidence_rows(decision, [one])[0],
        others=_others(decision, one),
        statistics=[
            (name, format_number(float(value), _DIGITS)) for name, value in one.statistics.items()
        ],
        charts=charts,
        pairs_query=pairs_query(one),
    )


def _others(decision: Decision, one: Evidence) -> list[EvidenceRow]:
    same = [other for other in decision.evidence if other.guardrail == one.guardrail]
    rows = evidence_rows(decision, [other for other in same if other.slice != one.slice])
    return sorted(rows, key=lambda row: (row.slice != ALL, row.finding.rank, -row.unit_count))


def _evidence_chart(points: Sequence[EvidencePoint]) -> Chart:
    rollback = [
        multiple(
            weighted_log_evidence(p.evidence.log_rollback, p.evidence.weight),
            p.thresholds.log_rollback,
        )
        for p in points
    ]
    promotion = [multiple(p.evidence.log_promotion, p.thresholds.log_promotion) for p in points]
    spoken = (
        f"Evidence for rollback is {times(rollback[-1])} times what one needs, "
        f"for promotion {times(promotion[-1])} times, after {len(points)} decisions."
    )
    lines = [
        Line("for rollback", "bad", [*map(_drawn, rollback)]),
        Line("for promotion", "good", [*map(_drawn, promotion)]),
        Line("enough", "limit", [1.0] * len(points)),
    ]
    title = "Evidence, as a multiple of what is enough"
    return Chart(title, spoken, _times_s(points), lines, unit="×", y_axis="log")


def _drawn(value: float) -> float:
    """Return the value within what a logarithmic axis shows: beyond, nothing changes."""
    return min(max(value, 1e-3), 1e6)


def _harm_chart(one: Evidence, points: Sequence[EvidencePoint]) -> Chart:
    is_share = one.unit == "share"
    factor = 100.0 if one.relative or is_share else 1.0
    unit = "pp" if is_share else "%" if one.relative else one.unit

    def scaled(values: Sequence[float | None]) -> list[float | None]:
        return [None if value is None else value * factor for value in values]

    lines = [
        Line("harm", "main", scaled([p.evidence.harm for p in points])),
        Line("from", "range", scaled([p.evidence.interval[0] for p in points])),
        Line("to", "range", scaled([p.evidence.interval[1] for p in points])),
        Line("limit", "limit", scaled([p.evidence.harm_margin for p in points])),
    ]
    spoken = "Harm with its 95 % interval against the limit, over the decisions so far."
    title = f"Harm and its 95 % interval, {unit}"
    return Chart(title, spoken, _times_s(points), lines, unit=unit, y_range=_range_shown(lines))


def _range_shown(lines: Sequence[Line]) -> tuple[float, float] | None:
    """Return the range of the second half of the points, with room to spare.

    Intervals begin as wide as can be; to show their beginnings would leave nothing to see.
    """
    half = len(lines[0].values) // 2
    known = [value for line in lines for value in line.values[half:] if value is not None]
    if not known:
        return None
    low, high = min(*known, 0.0), max(*known, 0.0)
    room = _ROOM * (high - low) or 1.0
    return low - room, high + room


def _times_s(points: Sequence[EvidencePoint]) -> list[float]:
    return [point.at_ms / 1000 for point in points]
