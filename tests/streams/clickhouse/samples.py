"""Rows with every kind of value, made from a seed."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable
from typing import Any, get_type_hints

import numpy as np

from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures, SideMeasures
from understudy.schemas.measure_kinds import (
    Category,
    Distribution,
    Label,
    Measure,
    Number,
    Outcome,
)
from understudy.schemas.measures import CONTROL, PAIR, SIDE
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.comparison_rows import ComparisonIdentity, UnmatchedSides

NOON_MS = 1_772_452_800_000
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
LANGUAGES = ("ja", "zh-Hant", "ar", "und")
Rng = np.random.Generator


def bools(rng: Rng, n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return rng.random(n) < 0.5


def floats(rng: Rng, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Positive numbers, about a fifth of them missing."""
    return np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(5, 2, n))


def words(rng: Rng, n: int, *choices: str) -> list[str]:
    return [choices[i] for i in rng.integers(0, len(choices), n)]


def identity(rng: Rng, n: int, *, partition: int = 3, first: int = 0) -> ComparisonIdentity:
    return ComparisonIdentity(
        rollout_id=words(rng, n, "helpdesk", "search 🔎"),
        pair_id=[f"pair-{first + i}" for i in range(n)],
        mode=words(rng, n, "shadow", "interleave"),
        language=words(rng, n, *LANGUAGES),
        workflow=words(rng, n, "", "billing"),
        request_time_ms=NOON_MS + rng.integers(-200_000_000, 200_000_000, n),
        conversation_id=words(rng, n, "", "c-1", "c-2"),
        turn=rng.integers(0, 5, n),
        expects=words(rng, n, "text", "json", "json_schema"),
        schema_id=words(rng, n, "", "invoice"),
        window_start_ms=NOON_MS + 10_000 * rng.integers(0, 10, n),
        partition=np.full(n, partition),
        offset=np.arange(first, first + n),
    )


def side_measures(rng: Rng, n: int) -> SideMeasures:
    return SideMeasures(**measured(rng, n, SIDE))


def pair_measures(rng: Rng, n: int) -> PairMeasures:
    kinds = [words(rng, count, "missing", "value") for count in rng.integers(0, 4, n)]
    paths = [[f"/items/{i}/名" for i in range(len(some))] for some in kinds]
    lists = {"json_difference_paths": paths, "json_difference_kinds": kinds}
    return PairMeasures(**measured(rng, n, PAIR) | lists)


def control_measures(rng: Rng, n: int) -> ControlMeasures:
    return ControlMeasures(**measured(rng, n, CONTROL))


def measured(rng: Rng, n: int, measures: Iterable[Measure]) -> dict[str, Any]:
    """Every measure in an array of its type."""
    return {one.name: _array(rng, n, one) for one in measures}


def _array(rng: Rng, n: int, measure: Measure) -> Any:
    match measure:
        case Label(array_type="list[list[str]]"):
            return [words(rng, count, "usage", "timing") for count in rng.integers(0, 3, n)]
        case Label():
            return words(rng, n, "", "house-large", "ja", "zh-Hant")
        case Outcome():
            return bools(rng, n)
        case Category(states=states):
            return rng.choice(list(states), n).astype(np.int8)
        case Number(array_type="Hashes"):
            return rng.integers(0, 2**64 - 1, n, dtype=np.uint64, endpoint=True)
        case Number(least=least):
            return rng.integers(least, 600, n)
        case Distribution(array_type="Ints"):
            return rng.integers(-1, 5000, n)
        case Distribution():
            return floats(rng, n)


def unmatched_sides(rng: Rng, n: int) -> UnmatchedSides:
    return UnmatchedSides(
        rollout_id=["helpdesk"] * n,
        pair_id=[f"pair-{i}" for i in range(n)],
        side=words(rng, n, "stable", "candidate", "control"),
        mode=["shadow"] * n,
        language=words(rng, n, *LANGUAGES),
        workflow=words(rng, n, "", "billing"),
        request_time_ms=NOON_MS + rng.integers(0, 100_000, n),
        window_start_ms=NOON_MS + 10_000 * rng.integers(0, 10, n),
        reason=words(rng, n, "timeout", "late", "memory"),
        partition=np.full(n, 2),
        offset=np.arange(n),
        model=words(rng, n, "house-large", ""),
        error=bools(rng, n),
        error_type=words(rng, n, "", "timeout"),
        duration_ms=floats(rng, n),
    )


def window_row(rng: Rng, *, version: int = 1, partition: int = 0) -> WindowRow:
    """A row in which every measure has a value of its own."""
    row = WindowRow(
        rollout_id="helpdesk",
        mode="shadow",
        language="ja",
        workflow="billing",
        window_start=NOON,
        window_s=10,
        partition=partition,
        version=version,
        closed=bool(version % 2),
    )
    for section, record in SECTIONS.items():
        for name, hint in _hints(record).items():
            setattr(getattr(row, section), name, _value(rng, hint))
    return row


@functools.cache
def _hints(record: type) -> dict[str, Any]:
    """Evaluated once: it takes tens of milliseconds."""
    return get_type_hints(record)


def _value(rng: Rng, hint: object) -> object:
    if hint is int:
        return int(rng.integers(0, 2**40))
    if hint is float:
        return float(rng.normal(0, 1e6))
    if hint == dict[str, int]:
        return {f"house-{size}": int(rng.integers(1, 99)) for size in ("large", "small")}
    return {int(k): int(v) for k, v in zip(rng.integers(-700, 900, 6), range(1, 7), strict=True)}
