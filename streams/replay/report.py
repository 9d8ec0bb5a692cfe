"""The report on a set of window rows: what `understudy replay` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.rows import RowTotals, total, total_by
from understudy.schemas.measure_kinds import (
    Category,
    Distribution,
    Label,
    Outcome,
    only_candidate,
    only_stable,
)
from understudy.schemas.measures import PAIR, SIDE
from understudy.schemas.window_measures import PairSums, SideSums
from understudy.schemas.windows import WindowRow

Document = dict[str, Any]


def report(rows: Iterable[WindowRow], events_read: int) -> Document:
    """The report as one JSON-ready document; `rows` hold each slice and window once."""
    kept = list(rows)
    whole = total(kept)
    events = whole.events
    return {
        "events": {
            "read": events_read,
            "invalid": events.invalid,
            "duplicate": events.duplicate,
            "superseded": events.superseded,
            "late": events.late,
        },
        "unreadable_fields": {
            "stable": whole.stable.unreadable_fields,
            "candidate": whole.candidate.unreadable_fields,
        },
        "pairs": whole.pair.pairs,
        "unmatched": {
            "stable": events.unmatched_stable,
            "candidate": events.unmatched_candidate,
        },
        "single": {
            "stable": whole.stable.requests - whole.pair.pairs,
            "candidate": whole.candidate.requests - whole.pair.pairs,
        },
        "rollouts": _rollouts(kept),
    }


def _rollouts(rows: list[WindowRow]) -> list[Document]:
    compared = [row for row in rows if row.stable.requests or row.candidate.requests]
    names = sorted({row.rollout_id for row in compared})
    return [
        {"rollout_id": name, "slices": _slices([r for r in compared if r.rollout_id == name])}
        for name in names
    ]


def _slices(rows: list[WindowRow]) -> list[Document]:
    """One slice per mode over everything, then each language and workflow."""
    by_mode = total_by(rows, lambda row: (row.mode, None, None))
    by_slice = total_by(rows, lambda row: (row.mode, row.language, row.workflow or None))
    ordered = sorted(by_slice.items(), key=lambda item: tuple(part or "" for part in item[0]))
    return [
        _slice(mode, language, workflow, totals)
        for (mode, language, workflow), totals in [*sorted(by_mode.items()), *ordered]
    ]


def _slice(
    mode: str | None, language: str | None, workflow: str | None, totals: RowTotals
) -> Document:
    return {
        "mode": mode,
        "language": language,
        "workflow": workflow,
        "pairs": totals.pair.pairs,
        "stable": _side(totals.stable),
        "candidate": _side(totals.candidate),
        "delta": _delta(totals.pair),
    }


def _side(side: SideSums) -> Document:
    """Requests, the counts of all outcomes, and percentiles or sums of what was measured."""
    figures: Document = {"requests": side.requests}
    for measure in SIDE:
        if isinstance(measure, Label) and measure.names:
            figures[measure.names.name] = getattr(side, measure.names.name)
        if isinstance(measure, Outcome | Category) and measure.success:
            for name in (measure.among, measure.success):
                figures[name] = getattr(side, name)
        elif isinstance(measure, Distribution):
            figures[measure.name] = _distribution(measure, side)
    return figures


def _distribution(measure: Distribution, side: SideSums) -> Any:
    """Percentiles, or the sum where there is no histogram."""
    if measure.histogram:
        return _percentiles(getattr(side, f"{measure.name}_histogram"))
    return getattr(side, f"{measure.name}_sum")


def _percentiles(histogram: Mapping[int, int]) -> Document:
    """p50, p95 and p99 within 1 %; null where nothing was measured."""
    if not histogram:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{p}": quantile(histogram, p / 100) for p in (50, 95, 99)}


def _delta(pair: PairSums) -> Document:
    """What pairs agree in, then what one side has more of than the other."""
    return {**_agreements(pair), **_changes(pair)}


def _agreements(pair: PairSums) -> Document:
    figures: Document = {}
    for measure in PAIR:
        if isinstance(measure, Outcome):
            agreed, among = getattr(pair, measure.success), getattr(pair, measure.among)
            figures[f"{measure.name}_rate"] = mean(agreed, among)
        elif isinstance(measure, Distribution):
            total, count = (getattr(pair, f"{measure.name}_{name}") for name in ("sum", "count"))
            figures[f"{measure.name}_mean"] = mean(total, count)
    return figures


def _changes(pair: PairSums) -> Document:
    figures: Document = {}
    for measure in SIDE:
        if isinstance(measure, Outcome | Category) and measure.paired_among:
            for name in (only_stable(measure.joint), only_candidate(measure.joint)):
                figures[name] = getattr(pair, name)
        elif isinstance(measure, Distribution) and measure.ratio:
            total = getattr(pair, f"{measure.ratio}_ln_sum")
            logarithm = mean(total, getattr(pair, f"{measure.ratio}_count"))
            figures[f"{measure.ratio}_geometric_mean"] = _exp(logarithm)
        elif isinstance(measure, Distribution) and measure.products:
            name = measure.name
            more = getattr(pair, f"{name}_candidate_sum") - getattr(pair, f"{name}_stable_sum")
            figures[f"{name}_diff_mean"] = mean(more, getattr(pair, f"{name}_count"))
    return figures


def mean(part: float, whole: float) -> float | None:
    """part / whole, None over nothing."""
    return part / whole if whole else None


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
