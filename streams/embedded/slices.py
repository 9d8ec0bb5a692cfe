"""Rates and deltas of slices, from window rows added up.

The terminal's own arithmetic: what the demo shows is what anyone gets by adding rows of the
table `windows`. Nothing here judges.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from understudy.analyzers.aggregate.histogram import quantile
from understudy.analyzers.aggregate.rows import row_key
from understudy.schemas.windows import EventCounts, Histogram, PairSums, SideSums, WindowRow

NOT_PRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A yes or no per answer, and where window rows count it."""

    name: str
    title: str
    higher_is_better: bool
    side_count: str
    side_total: str
    pair_total: str


METRICS: Final = (
    Metric(
        "json_valid", "JSON validity", True, "json_valid", "json_expected", "json_expected_both"
    ),
    Metric(
        "json_schema_valid",
        "JSON Schema validity",
        True,
        "json_schema_valid",
        "json_schema_checked",
        "json_schema_checked_both",
    ),
    Metric("error", "Error rate", False, "errors", "requests", "pairs"),
    Metric("fallback", "Fallback rate", False, "fallbacks", "requests", "pairs"),
    Metric("truncated", "Truncation rate", False, "truncated", "requests", "answered"),
    Metric("content_filtered", "Filtered rate", False, "content_filtered", "requests", "answered"),
    Metric(
        "language_match",
        "Answer in the request's language",
        True,
        "language_match",
        "language_checked",
        "language_checked_both",
    ),
)
"""A cause stands before its consequences: invalid JSON fails its schema too."""
JSON_VALID, ERROR = METRICS[0], METRICS[2]


@dataclass(frozen=True, slots=True)
class SliceKey:
    """All pairs of a language and workflow; None means every one."""

    language: str | None = None
    workflow: str | None = None

    @property
    def title(self) -> str:
        """Name for people, safe to print."""
        language = "all languages" if self.language is None else self.language
        return printable(f"{language}/{self.workflow}" if self.workflow else language)


def printable(text: str) -> str:
    """Text without control or direction characters: labels come from whoever writes events."""
    return "".join(c if c.isprintable() else NOT_PRINTABLE for c in text)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Pairs on which the two sides disagree about a metric."""

    pairs: int
    worse: int
    """Only the candidate is bad."""
    better: int
    """Only the stable side is bad."""

    @property
    def excess(self) -> int:
        """Bad answers that the candidate has beyond the stable side's."""
        return self.worse - self.better

    @property
    def z(self) -> float:
        """Standard score of the excess if both were equally good (McNemar, 1947)."""
        discordant = self.worse + self.better
        return float(self.excess / discordant**0.5) if discordant else 0.0


_SIDE_COUNTS: Final = tuple(
    dict.fromkeys(
        ["requests", "json_fenced", "json_truncated", "json_trailing_text", "json_not_json"]
        + ["json_too_deep"]
        + [name for metric in METRICS for name in (metric.side_count, metric.side_total)]
    )
)
_PAIR_COUNTS: Final = tuple(
    dict.fromkeys(
        ["pairs", "texts", "identical", "similarities", "similarity_sum"]
        + ["costs", "cost_usd_stable", "cost_usd_candidate"]
        + [metric.pair_total for metric in METRICS]
        + [f"{metric.name}_only_{side}" for metric in METRICS for side in ("stable", "candidate")]
    )
)


class SliceSums(msgspec.Struct):
    """What the demo needs of a slice's window rows, added up."""

    stable: SideSums = msgspec.field(default_factory=SideSums)
    candidate: SideSums = msgspec.field(default_factory=SideSums)
    pair: PairSums = msgspec.field(default_factory=PairSums)

    def add(self, row: WindowRow | SliceSums, times: int = 1) -> None:
        """Add the sums of a row; take them away again with `times` −1."""
        for total, part in ((self.stable, row.stable), (self.candidate, row.candidate)):
            _add_counts(total, part, _SIDE_COUNTS, times)
            _add_histogram(total.duration_ms_histogram, part.duration_ms_histogram, times)
        _add_counts(self.pair, row.pair, _PAIR_COUNTS, times)

    def contrast(self, metric: Metric) -> Contrast:
        only_stable = getattr(self.pair, f"{metric.name}_only_stable")
        only_candidate = getattr(self.pair, f"{metric.name}_only_candidate")
        worse, better = (
            (only_stable, only_candidate)
            if metric.higher_is_better
            else (only_candidate, only_stable)
        )
        return Contrast(getattr(self.pair, metric.pair_total), worse, better)

    def rates(self, metric: Metric) -> tuple[float | None, float | None]:
        """Share of the stable and of the candidate answers that have the metric's property."""
        return _rate(self.stable, metric), _rate(self.candidate, metric)


def _add_counts(
    total: msgspec.Struct, part: msgspec.Struct, names: Iterable[str], times: int
) -> None:
    for name in names:
        if value := getattr(part, name):
            setattr(total, name, getattr(total, name) + times * value)


def _add_histogram(total: Histogram, part: Histogram, times: int) -> None:
    for bucket, count in part.items():
        total[bucket] = total.get(bucket, 0) + times * count


def _rate(side: SideSums, metric: Metric) -> float | None:
    return _share(getattr(side, metric.side_count), getattr(side, metric.side_total))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class SliceDelta:
    """How a candidate differs in one slice; None where nothing was measured."""

    key: SliceKey
    pairs: int
    error_rate_stable: float | None = None
    error_rate_candidate: float | None = None
    error_z: float = 0.0
    """Standard score of the candidate's excess of errors; positive is worse."""
    json_expected: int = 0
    json_valid_stable: float | None = None
    json_valid_candidate: float | None = None
    json_valid_z: float = 0.0
    """Standard score of the candidate's excess of invalid JSON; positive is worse."""
    identical_rate: float | None = None
    similarity_mean: float | None = None
    duration_p50_ratio: float | None = None
    duration_p95_ratio: float | None = None
    cost_usd_diff_mean: float | None = None
    cost_ratio: float | None = None

    @property
    def json_valid_delta_points(self) -> float | None:
        return _points(self.json_valid_stable, self.json_valid_candidate)

    @property
    def error_delta_points(self) -> float | None:
        return _points(self.error_rate_stable, self.error_rate_candidate)


def _points(stable: float | None, candidate: float | None) -> float | None:
    """Difference of two shares in percentage points."""
    if stable is None or candidate is None:
        return None
    return 100.0 * (candidate - stable)


class Slices:
    """Sums of every language, or language and workflow, kept up to date row by row.

    A newer version of a row replaces what the older one added, an older one is ignored, so rows
    may come in any order and as often as they like. Of equal versions the last one counts.
    """

    def __init__(self, *, by_workflow: bool = False) -> None:
        self._by_workflow = by_workflow
        self._rows: dict[tuple[object, ...], WindowRow] = {}
        self._sums: dict[SliceKey, SliceSums] = {}
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
            if known is None:
                self._add(row, 1)
            elif row.version >= known.version:
                self._add(known, -1)
                self._add(row, 1)
            else:
                continue
            self._rows[key] = row

    def _add(self, row: WindowRow, times: int) -> None:
        key = SliceKey(row.language, row.workflow if self._by_workflow else None)
        self._sums.setdefault(key, SliceSums()).add(row, times)
        _add_counts(self.events, row.events, EventCounts.__struct_fields__, times)

    def deltas(self) -> list[SliceDelta]:
        """Deltas of the slices that have pairs, those with the most pairs first."""
        deltas = [_delta(key, sums) for key, sums in self._sums.items() if sums.pair.pairs]
        return sorted(deltas, key=lambda delta: (-delta.pairs, delta.key.title))


def slice_deltas(rows: Iterable[WindowRow], *, by_workflow: bool = False) -> list[SliceDelta]:
    """Deltas of every language (and workflow) of rows in any order and version."""
    slices = Slices(by_workflow=by_workflow)
    slices.update(rows)
    return slices.deltas()


def _delta(key: SliceKey, sums: SliceSums) -> SliceDelta:
    pair = sums.pair
    error_rate_stable, error_rate_candidate = sums.rates(ERROR)
    json_valid_stable, json_valid_candidate = sums.rates(JSON_VALID)
    return SliceDelta(
        key=key,
        pairs=pair.pairs,
        error_rate_stable=error_rate_stable,
        error_rate_candidate=error_rate_candidate,
        error_z=sums.contrast(ERROR).z,
        json_expected=sums.stable.json_expected,
        json_valid_stable=json_valid_stable,
        json_valid_candidate=json_valid_candidate,
        json_valid_z=sums.contrast(JSON_VALID).z,
        identical_rate=_share(pair.identical, pair.texts),
        similarity_mean=_share(pair.similarity_sum, pair.similarities),
        duration_p50_ratio=_quantile_ratio(sums, 0.50),
        duration_p95_ratio=_quantile_ratio(sums, 0.95),
        cost_usd_diff_mean=_share(pair.cost_usd_candidate - pair.cost_usd_stable, pair.costs),
        cost_ratio=_share(pair.cost_usd_candidate, pair.cost_usd_stable),
    )


def _quantile_ratio(sums: SliceSums, q: float) -> float | None:
    stable, candidate = sums.stable.duration_ms_histogram, sums.candidate.duration_ms_histogram
    if not stable or not candidate:
        return None
    return quantile(candidate, q) / quantile(stable, q)


def by_window(rows: Iterable[WindowRow], key: SliceKey) -> Iterator[tuple[dt.datetime, SliceSums]]:
    """Sums of one slice window by window, in order of time; rows in their latest versions."""
    windows: dict[dt.datetime, SliceSums] = {}
    for row in rows:
        if key.language in (None, row.language) and key.workflow in (None, row.workflow):
            windows.setdefault(row.window_start, SliceSums()).add(row)
    yield from sorted(windows.items())
