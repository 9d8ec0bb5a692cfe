"""The report on a set of window rows: what `understudy replay` prints."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.layout import SLOTS
from understudy.analyzers.windows.rows import RowSums, RowTotals, total_of_sums
from understudy.analyzers.windows.window_sums import WindowSums
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
from understudy.streams.pairing.open_windows import ClosedWindow

Document = dict[str, Any]

_COMPARED: Final = [SLOTS["stable_requests"], SLOTS["candidate_requests"]]
"""Of a window's sums: whether a request was compared."""


class ReportSums:
    """The sums that a report needs, of rows that come one by one, each slice and window once."""

    def __init__(self) -> None:
        self._compared: dict[Key, RowSums] = {}
        self._others = RowSums()
        """Of rows without a request that was compared."""

    def add(self, rows: Iterable[WindowRow]) -> None:
        """Take rows; they need not be kept."""
        for row in rows:
            sums = self._others
            if row.stable.requests or row.candidate.requests:
                key = row.rollout_id, row.mode, row.language, row.workflow or None
                sums = self._compared.setdefault(key, RowSums())
            sums.add(row)

    def add_windows(self, windows: Iterable[ClosedWindow]) -> None:
        """Take windows of which no rows were drawn."""
        compared: dict[Key, list[WindowSums]] = defaultdict(list)
        others: list[WindowSums] = []
        for key, sums, _ in windows:
            if sums.vector[_COMPARED].any():
                own = key.rollout_id, key.mode or None, key.language, key.workflow or None
                compared[own].append(sums)
            else:
                others.append(sums)
        if others:
            self._others.add_windows(others)
        for name, its_sums in compared.items():
            self._compared.setdefault(name, RowSums()).add_windows(its_sums)

    def whole(self) -> RowTotals:
        """The sums of all rows."""
        return total_of_sums([self._others, *self._compared.values()])

    def rollouts(self) -> list[str]:
        """Rollouts of which requests were compared, by name."""
        return sorted({rollout_id for rollout_id, *_ in self._compared})

    def languages(self) -> dict[str, RowTotals]:
        """The sums of each language, over all rollouts, modes and workflows."""
        by_language: dict[str, list[RowSums]] = {}
        for (_, _, language, _), sums in self._compared.items():
            by_language.setdefault(language or "und", []).append(sums)
        return {language: total_of_sums(sums) for language, sums in by_language.items()}

    def slices(self, rollout_id: str) -> dict[SliceName, RowTotals]:
        """One slice per mode over everything, then each language and workflow."""
        own = {key[1:]: sums for key, sums in self._compared.items() if key[0] == rollout_id}
        by_mode: dict[SliceName, list[RowSums]] = {}
        for (mode, _, _), sums in own.items():
            by_mode.setdefault((mode, None, None), []).append(sums)
        ordered = sorted(own.items(), key=lambda item: tuple(part or "" for part in item[0]))
        return {
            **{name: total_of_sums(sums) for name, sums in sorted(by_mode.items())},
            **{name: total_of_sums([sums]) for name, sums in ordered},
        }


SliceName = tuple[str | None, str | None, str | None]
"""Mode, language and workflow."""
Key = tuple[str, str | None, str | None, str | None]


def report(rows: Iterable[WindowRow], events_read: int) -> Document:
    """The report as one JSON-ready document; `rows` hold each slice and window once."""
    sums = ReportSums()
    sums.add(rows)
    return report_of_sums(sums, events_read)


def report_of_sums(sums: ReportSums, events_read: int) -> Document:
    """The report as one JSON-ready document."""
    whole = sums.whole()
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
        "rollouts": [
            {
                "rollout_id": name,
                "slices": [_slice(*key, totals) for key, totals in sums.slices(name).items()],
            }
            for name in sums.rollouts()
        ],
    }


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
