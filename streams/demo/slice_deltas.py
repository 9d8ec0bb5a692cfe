"""Rates and deltas of all requests and of each language, from window rows added up.

What the demo shows is what anyone gets by adding rows of the table `windows`. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from understudy.analyzers.guardrails.slices import ALL, slice_name
from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.rows import RowTotals, row_key, total
from understudy.schemas.window_measures import EventCounts
from understudy.schemas.windows import WindowRow
from understudy.streams.replay.report import mean


@dataclass(frozen=True, slots=True)
class SliceDelta:
    """How a candidate differs in one slice; None where nothing was measured."""

    slice: str
    """As deciding names it: `all`, `language:ja`."""
    pairs: int
    error_rate_stable: float | None = None
    error_rate_candidate: float | None = None
    json_valid_stable: float | None = None
    json_valid_candidate: float | None = None
    identical_rate: float | None = None
    similarity_mean: float | None = None
    duration_p50_ratio: float | None = None
    duration_p95_ratio: float | None = None
    cost_ratio: float | None = None

    @property
    def json_valid_delta_points(self) -> float | None:
        """Difference of the two shares in percentage points."""
        if self.json_valid_stable is None or self.json_valid_candidate is None:
            return None
        return 100.0 * (self.json_valid_candidate - self.json_valid_stable)


class SliceTotals:
    """Sums of all requests and of every language, kept up to date row by row.

    A newer version of a row replaces an older one, an older one is ignored, so rows may come in any
    order and as often as they like. Of equal versions the last one counts.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], WindowRow] = {}
        self._open: dict[tuple[object, ...], WindowRow] = {}
        """Rows that are not in the sums of closed rows yet."""
        self._closed: dict[str, RowTotals] = {}
        """Closed rows by slice; they do not change any more, so they are added only once."""

    @property
    def rows(self) -> list[WindowRow]:
        """The latest version of every row."""
        return list(self._rows.values())

    @property
    def events(self) -> EventCounts:
        """Where all events ended."""
        return self._totals().get(ALL, RowTotals()).events

    def update(self, rows: Iterable[WindowRow]) -> None:
        """Take new rows, or new versions of known ones."""
        for row in rows:
            key = row_key(row)
            known = self._rows.get(key)
            if known is not None and row.version < known.version:
                continue
            if known is not None and key not in self._open:
                self._open, self._closed = dict(self._rows), {}
            self._rows[key] = self._open[key] = row

    def deltas(self) -> list[SliceDelta]:
        """Deltas of the slices that have pairs, those with the most pairs first."""
        totals = self._totals().items()
        deltas = [_delta(name, sums) for name, sums in totals if sums.pair.pairs]
        return sorted(deltas, key=lambda delta: (delta.slice != ALL, -delta.pairs, delta.slice))

    def _totals(self) -> dict[str, RowTotals]:
        """The sums of each slice."""
        closed = [key for key, row in self._open.items() if row.closed]
        self._closed = _added(self._closed, [self._open.pop(key) for key in closed])
        return _added(self._closed, self._open.values())


def _added(totals: Mapping[str, RowTotals], rows: Iterable[WindowRow]) -> dict[str, RowTotals]:
    """The sums of slices with more rows in them."""
    parts: dict[str, list[WindowRow | RowTotals]] = {name: [one] for name, one in totals.items()}
    for row in rows:
        for name in {ALL, slice_name(row.language)}:
            parts.setdefault(name, []).append(row)
    return {name: total(some) for name, some in parts.items()}


def _delta(name: str, sums: RowTotals) -> SliceDelta:
    stable, candidate, pair = sums.stable, sums.candidate, sums.pair
    return SliceDelta(
        slice=name,
        pairs=pair.pairs,
        error_rate_stable=mean(stable.errors, stable.requests),
        error_rate_candidate=mean(candidate.errors, candidate.requests),
        json_valid_stable=mean(stable.json_valid, stable.json_expected),
        json_valid_candidate=mean(candidate.json_valid, candidate.json_expected),
        identical_rate=mean(pair.identical, pair.texts),
        similarity_mean=mean(pair.similarity_sum, pair.similarity_count),
        duration_p50_ratio=_quantile_ratio(sums, 0.50),
        duration_p95_ratio=_quantile_ratio(sums, 0.95),
        cost_ratio=mean(pair.cost_usd_candidate_sum, pair.cost_usd_stable_sum),
    )


def _quantile_ratio(sums: RowTotals, q: float) -> float | None:
    stable, candidate = sums.stable.duration_ms_histogram, sums.candidate.duration_ms_histogram
    if not stable or not candidate:
        return None
    return quantile(candidate, q) / quantile(stable, q)
