"""Both sides of each language side by side: what was counted, without a judgment. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_percent,
    format_value,
)
from understudy.analyzers.windows.histogram import quantile
from understudy.streams.clickhouse.traffic_figures import SIDES, LanguageTraffic

_NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class LanguageTable:
    """A row for each language; columns of which no language has anything are left out."""

    columns: list[str]
    rows: list[tuple[str, str, list[str]]]
    """Language, its requests (stable's and the candidate's where they differ), a cell a column."""


Figure = Callable[[LanguageTraffic, str], str]
"""Of a language and a side."""


def _share(part: str, whole: str) -> Figure:
    def read(of: LanguageTraffic, side: str) -> str:
        total = of.sums[f"{side}_{whole}"]
        return format_percent(of.sums[f"{side}_{part}"] / total) if total else _NOTHING

    return read


def _mean(name: str, unit: str) -> Figure:
    def read(of: LanguageTraffic, side: str) -> str:
        count = of.sums[f"{side}_{name}_count"]
        return format_value(unit, of.sums[f"{side}_{name}_sum"] / count) if count else _NOTHING

    return read


def _p95(of: LanguageTraffic, side: str) -> str:
    histogram: Mapping[int, int] = of.histograms[f"{side}_duration_ms_histogram"]
    return format_value("ms", quantile(histogram, 0.95)) if histogram else _NOTHING


_COLUMNS: Final[Mapping[str, Figure]] = {
    "Without an answer": _share("errors", "model_requests"),
    "Empty": _share("empties", "answers"),
    "Refused": _share("refusals", "answers"),
    "Valid JSON": _share("json_valid", "json_expected"),
    "In the language asked": _share("language_match", "language_checked"),
    "Duration p95": _p95,
    "Cost": _mean("cost_usd", "usd"),
    "Output tokens": _mean("output_tokens", "tokens"),
}


def language_table(languages: Sequence[LanguageTraffic]) -> LanguageTable:
    """Return the table, in the order of the languages."""
    cells = {
        title: [_both(read(of, "stable"), read(of, "candidate")) for of in languages]
        for title, read in _COLUMNS.items()
    }
    kept = [title for title, column in cells.items() if any(cell != _NOTHING for cell in column)]
    rows = [
        (of.language, _requests(of), [cells[title][place] for title in kept])
        for place, of in enumerate(languages)
    ]
    return LanguageTable(kept, rows)


def _both(stable: str, candidate: str) -> str:
    if stable == candidate == _NOTHING:
        return _NOTHING
    return f"{stable} → {candidate}"


def _requests(of: LanguageTraffic) -> str:
    counts = [format_count(int(of.sums[f"{side}_requests"])) for side in SIDES]
    return counts[0] if counts[0] == counts[1] else " → ".join(counts)
