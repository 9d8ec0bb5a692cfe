"""The report on a set of window rows: what `understudy replay` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.rows import RowTotals, total, total_by
from understudy.schemas.window_measures import SideSums
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
            "late": events.late,
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
        "delta": _delta(totals),
    }


def _side(side: SideSums) -> Document:
    return {
        "requests": side.requests,
        "errors": side.errors,
        "fallbacks": side.fallbacks,
        "json_expected": side.json_expected,
        "json_valid": side.json_valid,
        "json_schema_valid": side.json_schema_valid,
        "truncated": side.truncated,
        "duration_ms": _percentiles(side.duration_ms_histogram),
        "time_to_first_token_ms": _percentiles(side.time_to_first_token_ms_histogram),
        "input_tokens": side.input_tokens_sum,
        "output_tokens": side.output_tokens_sum,
        "cost_usd": side.cost_usd_sum,
    }


def _percentiles(histogram: Mapping[int, int]) -> Document:
    """p50, p95 and p99 within 1 %; null where nothing was measured."""
    if not histogram:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{p}": quantile(histogram, p / 100) for p in (50, 95, 99)}


def _delta(totals: RowTotals) -> Document:
    pair = totals.pair
    return {
        "identical_rate": mean(pair.identical, pair.texts),
        "similarity_mean": mean(pair.similarity_sum, pair.similarity_count),
        "json_valid_only_stable": pair.json_valid_only_stable,
        "json_valid_only_candidate": pair.json_valid_only_candidate,
        "tool_calls_match_rate": mean(pair.tool_calls_match, pair.tool_calls_compared),
        "duration_ratio_geometric_mean": _exp(
            mean(pair.duration_ratio_ln_sum, pair.duration_ratio_count)
        ),
        "cost_usd_diff_mean": mean(
            pair.cost_usd_candidate_sum - pair.cost_usd_stable_sum, pair.cost_usd_count
        ),
    }


def mean(part: float, whole: float) -> float | None:
    """part / whole, None over nothing."""
    return part / whole if whole else None


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
