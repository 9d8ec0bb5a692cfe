"""Rates and deltas of all requests and of each language, from window rows added up.

The terminal's own arithmetic: what the demo shows is what anyone gets by adding rows of the
table `windows`. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from understudy.analyzers.guardrails.slices import ALL, slice_name
from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.rows import row_key
from understudy.schemas.window_measures import EventCounts, Histogram, PairSums, SideSums
from understudy.schemas.windows import WindowRow
from understudy.streams.replay.report import mean

_SIDE_COUNTS: Final = ("requests", "errors", "json_expected", "json_valid")
_PAIR_COUNTS: Final = (
    "pairs", "texts", "identical", "similarity_count", "similarity_sum",
    "cost_usd_stable_sum", "cost_usd_candidate_sum",
)  # fmt: skip


class SliceSums(msgspec.Struct):
    """What the demo needs of a slice's window rows, added up."""

    stable: SideSums = msgspec.field(default_factory=SideSums)
    candidate: SideSums = msgspec.field(default_factory=SideSums)
    pair: PairSums = msgspec.field(default_factory=PairSums)

    def add(self, row: WindowRow, times: int = 1) -> None:
        """Add the sums of a row; take them away again with `times` −1."""
        for total, part in ((self.stable, row.stable), (self.candidate, row.candidate)):
            _add_counts(total, part, _SIDE_COUNTS, times)
            _add_histogram(total.duration_ms_histogram, part.duration_ms_histogram, times)
        _add_counts(self.pair, row.pair, _PAIR_COUNTS, times)


def _add_counts(
    total: msgspec.Struct, part: msgspec.Struct, names: Iterable[str], times: int
) -> None:
    for name in names:
        if value := getattr(part, name):
            setattr(total, name, getattr(total, name) + times * value)


def _add_histogram(total: Histogram, part: Histogram, times: int) -> None:
    for bucket, count in part.items():
        total[bucket] = total.get(bucket, 0) + times * count


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


class Slices:
    """Sums of all requests and of every language, kept up to date row by row.

    A newer version of a row replaces what the older one added, an older one is ignored, so rows
    may come in any order and as often as they like. Of equal versions the last one counts.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], WindowRow] = {}
        self._sums: dict[str, SliceSums] = {}
        self.events = EventCounts()
        """Where all events ended."""

    @property
    def rows(self) -> list[WindowRow]:
        """The latest version of every row."""
        return list(self._rows.values())

    def update(self, rows: Iterable[WindowRow]) -> None:
        """Take new rows, or new versions of known ones."""
        for row in rows:
            key = row_key(row)
            known = self._rows.get(key)
            if known is not None and row.version < known.version:
                continue
            if known is not None:
                self._add(known, -1)
            self._add(row, 1)
            self._rows[key] = row

    def _add(self, row: WindowRow, times: int) -> None:
        for name in dict.fromkeys((ALL, slice_name(row.language))):
            self._sums.setdefault(name, SliceSums()).add(row, times)
        _add_counts(self.events, row.events, EventCounts.__struct_fields__, times)

    def deltas(self) -> list[SliceDelta]:
        """Deltas of the slices that have pairs, those with the most pairs first."""
        deltas = [_delta(name, sums) for name, sums in self._sums.items() if sums.pair.pairs]
        return sorted(deltas, key=lambda delta: (delta.slice != ALL, -delta.pairs, delta.slice))


def _delta(name: str, sums: SliceSums) -> SliceDelta:
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


def _quantile_ratio(sums: SliceSums, q: float) -> float | None:
    stable, candidate = sums.stable.duration_ms_histogram, sums.candidate.duration_ms_histogram
    if not stable or not candidate:
        return None
    return quantile(candidate, q) / quantile(stable, q)
