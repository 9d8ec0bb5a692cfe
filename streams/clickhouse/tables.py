"""The tables' columns and their types, and measures laid out as columns to insert.

The DDL in `schemas/clickhouse` says the same in SQL; a test holds the two together. What a call
leaves out (a side that was not there, a pair, a control run) takes the column's default. Window
rows come back from what a query returns, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.measures import (
    ControlMeasures,
    JsonState,
    PairMeasures,
    SideMeasures,
    SimilarityMethod,
)
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.native_format import Block, Column, encode_block

COMPARISONS: Final = "comparisons"
UNMATCHED: Final = "unmatched"
WINDOWS: Final = "windows"
DECISIONS: Final = "decisions"

Columns = dict[str, Column]
Ints = NDArray[np.int64]

_LABEL: Final = "LowCardinality(String)"
_TIME: Final = "DateTime64(3, 'UTC')"
_VERDICT: Final = "Enum8('unchecked' = -1, 'no' = 0, 'yes' = 1)"
_PRODUCT_SUFFIXES: Final = ("_squares", "_products")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ComparisonIdentity:
    """What n comparisons are of; the fields are columns of `comparisons`, times apart."""

    rollout_id: Sequence[str]
    pair_id: Sequence[str]
    mode: Sequence[str]
    language: Sequence[str]
    workflow: Sequence[str]
    """Empty where the gateway named none."""
    request_time_ms: Ints
    expects: Sequence[str]
    schema_id: Sequence[str]
    """Empty where there is none."""
    window_start_ms: Ints
    partition: int
    offset: Ints
    """Of the record that completed the pair."""

    def __len__(self) -> int:
        return len(self.rollout_id)


@dataclass(frozen=True, slots=True)
class UnmatchedSides:
    """n sides that were never joined; the fields are columns of `unmatched`, times apart."""

    rollout_id: Sequence[str]
    pair_id: Sequence[str]
    side: Sequence[str]
    mode: Sequence[str]
    language: Sequence[str]
    workflow: Sequence[str]
    request_time_ms: Ints
    window_start_ms: Ints
    """Of the window that counts the side."""
    reason: Sequence[str]
    """`timeout`, `late` or `memory`."""
    partition: int
    offset: Ints
    model: Sequence[str]
    error: NDArray[np.bool_]
    error_type: Sequence[str]
    duration_ms: NDArray[np.float64]
    """NaN where it is not known."""

    def __len__(self) -> int:
        return len(self.rollout_id)


_SIDES: Final = ("stable", "candidate", "control")
_REASONS: Final = ("timeout", "late", "memory")


def _enum(members: type[JsonState] | type[SimilarityMethod]) -> str:
    named = (f"'{member.name.lower()}' = {member.value}" for member in members)
    return f"Enum8({', '.join(named)})"


def _numbered(names: Sequence[str]) -> str:
    named = (f"'{name}' = {number}" for number, name in enumerate(names, 1))
    return f"Enum8({', '.join(named)})"


_SIDE_TYPES: Final[dict[str, str]] = {
    "model": _LABEL,
    "served": "Bool",
    "error": "Bool",
    "timeout": "Bool",
    "error_type": _LABEL,
    "error_status": "UInt16",
    "finish_reason": _LABEL,
    "truncated": "Bool",
    "content_filtered": "Bool",
    "fallback": "Bool",
    "attempts": "UInt16",
    "text": "Bool",
    "output_characters": "UInt32",
    "output_hash": "UInt64",
    "json_state": _enum(JsonState),
    "json_schema_valid": _VERDICT,
    "tools_offered": "Bool",
    "tool_call_count": "UInt16",
    "tool_arguments_invalid": "Bool",
    "output_language": _LABEL,
    "language_match": _VERDICT,
    "duration_ms": "Nullable(Float64)",
    "first_token_ms": "Nullable(Float64)",
    "input_tokens": "Nullable(UInt32)",
    "output_tokens": "Nullable(UInt32)",
    "cost_usd": "Nullable(Float64)",
}
_PAIR_TYPES: Final[dict[str, str]] = {
    "answered": "Bool",
    "texts": "Bool",
    "identical": "Bool",
    "identical_folded": "Bool",
    "similarity": "Nullable(Float64)",
    "similarity_method": _enum(SimilarityMethod),
    "json_compared": "Bool",
    "json_equal": "Bool",
    "json_difference_count": "UInt16",
    "json_difference_paths": "Array(String)",
    "json_difference_kinds": f"Array({_LABEL})",
    "tool_calls_compared": "Bool",
    "tool_names_match": "Bool",
    "tool_calls_match": "Bool",
    "finish_reason_match": "Bool",
}
_CONTROL_TYPES: Final = {field.name: _PAIR_TYPES[field.name] for field in fields(ControlMeasures)}

COMPARISON_TYPES: Final[dict[str, str]] = {
    "rollout_id": _LABEL,
    "pair_id": "String",
    "mode": _LABEL,
    "language": _LABEL,
    "workflow": _LABEL,
    "request_time": _TIME,
    "expects": _LABEL,
    "schema_id": _LABEL,
    "window_start": _TIME,
    "partition": "UInt32",
    "offset": "UInt64",
    "has_stable": "Bool",
    "has_candidate": "Bool",
    "has_control": "Bool",
    **{f"stable_{name}": type_name for name, type_name in _SIDE_TYPES.items()},
    **{f"candidate_{name}": type_name for name, type_name in _SIDE_TYPES.items()},
    **{f"pair_{name}": type_name for name, type_name in _PAIR_TYPES.items()},
    **{f"control_{name}": type_name for name, type_name in _CONTROL_TYPES.items()},
}
UNMATCHED_TYPES: Final[dict[str, str]] = {
    "rollout_id": _LABEL,
    "pair_id": "String",
    "side": _numbered(_SIDES),
    "mode": _LABEL,
    "language": _LABEL,
    "workflow": _LABEL,
    "request_time": _TIME,
    "window_start": _TIME,
    "reason": _numbered(_REASONS),
    "partition": "UInt32",
    "offset": "UInt64",
    "model": _LABEL,
    "error": "Bool",
    "error_type": _LABEL,
    "duration_ms": "Nullable(Float64)",
}


def _window_types() -> dict[str, str]:
    return {
        "rollout_id": _LABEL,
        "mode": _LABEL,
        "language": _LABEL,
        "workflow": _LABEL,
        "window_start": _TIME,
        "window_s": "UInt32",
        "source": _LABEL,
        "partition": "UInt32",
        "version": "UInt64",
        "closed": "Bool",
        **{
            f"{section}_{name}": _sum_type(name, hint)
            for section, record in SECTIONS.items()
            for name, hint in get_type_hints(record).items()
        },
    }


def _sum_type(name: str, hint: object) -> str:
    """Squares of hostile counts outgrow 64 bits, hence 128."""
    if hint is int:
        return "UInt128" if name.endswith(_PRODUCT_SUFFIXES) else "UInt64"
    return "Float64" if hint is float else "Map(Int32, UInt64)"


WINDOW_TYPES: Final[dict[str, str]] = _window_types()
DECISION_TYPES: Final[dict[str, str]] = {
    "rollout_id": _LABEL,
    "decided_at": _TIME,
    "is_refresh": "Bool",
    "verdict": _LABEL,
    "since": _TIME,
    "stage": _LABEL,
    "candidate_share": "Float64",
    "is_latched": "Bool",
    "is_paused": "Bool",
    "reasons": "Array(String)",
    "alerts": "Array(String)",
    "policy_hash": _LABEL,
    "partitions": "Map(Int32, UInt64)",
    "feedback_partitions": "Map(Int32, UInt64)",
    "decision": "String",
}
TABLES: Final[dict[str, Mapping[str, str]]] = {
    COMPARISONS: COMPARISON_TYPES,
    UNMATCHED: UNMATCHED_TYPES,
    WINDOWS: WINDOW_TYPES,
    DECISIONS: DECISION_TYPES,
}
"""Table to column to ClickHouse type, in the order of the DDL."""


def block(table: str, columns: Mapping[str, Column]) -> Block:
    """Encode columns of one of `TABLES`, ready to put into a loader.

    Raises KeyError for an unknown table or column, ValueError for values that do not fit.
    """
    return encode_block(table, TABLES[table], columns)


def comparison_columns(
    identity: ComparisonIdentity,
    *,
    stable: SideMeasures | None = None,
    candidate: SideMeasures | None = None,
    pair: PairMeasures | None = None,
    control: ControlMeasures | None = None,
    control_rows: NDArray[np.intp] | None = None,
) -> Columns:
    """n comparisons of one kind as columns of `comparisons`.

    A side alone by design leaves out the other and `pair`. `control` has one row for each of
    `control_rows`, the ascending indices of the pairs that had a control side. Raises ValueError
    when the lengths do not fit.
    """
    n = len(identity)
    columns: Columns = {
        "rollout_id": identity.rollout_id,
        "pair_id": identity.pair_id,
        "mode": identity.mode,
        "language": identity.language,
        "workflow": identity.workflow,
        "request_time": identity.request_time_ms,
        "expects": identity.expects,
        "schema_id": identity.schema_id,
        "window_start": identity.window_start_ms,
        "partition": np.full(n, identity.partition, np.uint32),
        "offset": identity.offset,
    }
    columns["has_stable"] = np.full(n, stable is not None)
    columns["has_candidate"] = np.full(n, candidate is not None)
    for prefix, measures in (("stable", stable), ("candidate", candidate), ("pair", pair)):
        if measures is not None:
            columns.update(_prefixed(prefix, measures))
    if control is not None and control_rows is not None:
        columns.update(_control_columns(control, control_rows, n))
    return columns


def _prefixed(
    prefix: str, measures: SideMeasures | PairMeasures | ControlMeasures
) -> Iterator[tuple[str, Column]]:
    for field in fields(measures):
        yield f"{prefix}_{field.name}", getattr(measures, field.name)


def _control_columns(control: ControlMeasures, rows: NDArray[np.intp], n: int) -> Columns:
    """Spread m control measures over n pairs; elsewhere False, and NaN for the similarity."""
    if len(control) != len(rows):
        raise ValueError(f"{len(control)} control measures for {len(rows)} rows")
    columns: Columns = {"has_control": _spread(np.ones(len(rows), bool), rows, n)}
    for name, values in _prefixed("control", control):
        columns[name] = _spread(np.asarray(values), rows, n)
    return columns


def _spread(values: NDArray[Any], rows: NDArray[np.intp], n: int) -> NDArray[Any]:
    spread = np.full(n, np.nan if values.dtype.kind == "f" else 0, values.dtype)
    spread[rows] = values
    return spread


def unmatched_columns(sides: UnmatchedSides) -> Columns:
    """n unmatched or late sides as columns of `unmatched`.

    Raises ValueError for a side or reason that the table does not know.
    """
    return {
        "rollout_id": sides.rollout_id,
        "pair_id": sides.pair_id,
        "side": _numbers_of(_SIDES, sides.side),
        "mode": sides.mode,
        "language": sides.language,
        "workflow": sides.workflow,
        "request_time": sides.request_time_ms,
        "window_start": sides.window_start_ms,
        "reason": _numbers_of(_REASONS, sides.reason),
        "partition": np.full(len(sides), sides.partition, np.uint32),
        "offset": sides.offset,
        "model": sides.model,
        "error": sides.error,
        "error_type": sides.error_type,
        "duration_ms": sides.duration_ms,
    }


def _numbers_of(names: Sequence[str], values: Sequence[str]) -> list[int]:
    """The number of each name in its enum."""
    unknown = set(values).difference(names)
    if unknown:
        raise ValueError(f"{sorted(unknown)} not among {list(names)}")
    return [names.index(value) + 1 for value in values]


def window_columns(rows: Sequence[WindowRow]) -> Columns:
    """n window rows as columns of `windows`; a missing mode becomes the empty string."""
    columns: Columns = {
        "rollout_id": [row.rollout_id for row in rows],
        "mode": [row.mode or "" for row in rows],
        "language": [row.language for row in rows],
        "workflow": [row.workflow for row in rows],
        "window_start": [(row.window_start - _EPOCH) // _MILLISECOND for row in rows],
        "window_s": [row.window_s for row in rows],
        "source": [row.source for row in rows],
        "partition": [row.partition for row in rows],
        "version": [row.version for row in rows],
        "closed": [row.closed for row in rows],
    }
    for section, record in SECTIONS.items():
        columns.update(_section_columns(section, record.__struct_fields__, rows))
    return columns


def _section_columns(section: str, names: Sequence[str], rows: Sequence[WindowRow]) -> Columns:
    read = attrgetter(*(f"{section}.{name}" for name in names))
    values = zip(*map(read, rows), strict=True) if rows else ((),) * len(names)
    return {f"{section}_{name}": column for name, column in zip(names, values, strict=True)}


def window_rows(columns: Mapping[str, Sequence[Any]]) -> list[WindowRow]:
    """The rows that `window_columns` laid out; `window_start` in milliseconds since 1970."""
    identity = {
        **{name: columns[name] for name in WindowRow.__struct_fields__ if name not in SECTIONS},
        "mode": [mode or None for mode in columns["mode"]],
        "window_start": [_EPOCH + ms * _MILLISECOND for ms in columns["window_start"]],
    }
    sections = {name: _section_records(name, record, columns) for name, record in SECTIONS.items()}
    parts = {**identity, **sections}
    return [
        WindowRow(**dict(zip(parts, row, strict=True))) for row in zip(*parts.values(), strict=True)
    ]


def _section_records(
    section: str, record: type[msgspec.Struct], columns: Mapping[str, Sequence[Any]]
) -> list[msgspec.Struct]:
    names = record.__struct_fields__
    rows = zip(*(columns[f"{section}_{name}"] for name in names), strict=True)
    return [record(**dict(zip(names, values, strict=True))) for values in rows]
