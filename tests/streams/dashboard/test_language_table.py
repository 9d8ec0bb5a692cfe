"""Both sides of each language."""

from __future__ import annotations

from understudy.analyzers.windows.histogram import bucket_value
from understudy.streams.clickhouse.traffic_figures import (
    LANGUAGE_HISTOGRAMS,
    LANGUAGE_SUMS,
    SIDES,
    LanguageTraffic,
)
from understudy.streams.dashboard.language_table import language_table


def of(language: str, histogram: dict[int, int] | None = None, **sums: float) -> LanguageTraffic:
    names = [f"{side}_{name}" for side in SIDES for name in LANGUAGE_SUMS]
    histograms = {f"{side}_{name}": {} for side in SIDES for name in LANGUAGE_HISTOGRAMS}
    if histogram:
        histograms["stable_duration_ms_histogram"] = histogram
    return LanguageTraffic(language, {**dict.fromkeys(names, 0.0), **sums}, histograms)


def test_both_sides_stand_in_one_cell_and_empty_columns_leave() -> None:
    table = language_table(
        [
            of("ja", stable_requests=1_000, candidate_requests=1_000, stable_model_requests=1_000,
               candidate_model_requests=1_000, candidate_errors=25),
            of("de", {500: 10}, stable_requests=10, candidate_requests=9,
               stable_cost_usd_count=10, stable_cost_usd_sum=0.02),
        ]
    )  # fmt: skip
    assert table.columns == ["Without an answer", "Duration p95", "Cost"]
    p95 = f"{bucket_value(500) / 1000:.3g} s" if bucket_value(500) >= 1000 else None
    ja, de = table.rows
    assert ja == ("ja", "1,000", ["0 % → 2.5 %", "–", "–"])
    assert de[:2] == ("de", "10 → 9")
    assert de[2][0] == "–"
    assert de[2][1].endswith("→ –")
    assert p95 is None or p95 in de[2][1]
    assert de[2][2] == "$0.002 → –"


def test_without_a_language_there_is_nothing() -> None:
    assert language_table([]).rows == []
