"""Window rows from ClickHouse as an evaluator takes them: in columns, many windows at once. Pure.

A table keeps the last version of a row, not how it grew, so each window counts as complete when it
ends. Windows that were still open when the rows were read count as they were stored.
"""

from __future__ import annotations

import numpy as np

from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.row_columns import (
    HistogramColumn,
    NameColumn,
    RowColumns,
)
from understudy.analyzers.sequential.bets import BoolArray, IntArray
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.windows import SOURCES
from understudy.streams.clickhouse.native_blocks import (
    LabelColumn,
    MapColumn,
    NamesColumn,
    NativeColumns,
)


def closed_rows(found: NativeColumns) -> list[ClosedRows]:
    """The rows that say of which mode they are, by source, in their order."""
    if not found.n_rows:
        return []
    mode, source, evaluator = (found.labels[name] for name in ("mode", "source", "evaluator"))
    is_paired = np.array([value in PAIRED_MODES for value in mode.values])[mode.codes]
    columns = RowColumns(
        is_paired,
        {name: column.astype(np.float64) for name, column in found.numbers.items()},
        {name: _histograms(column) for name, column in found.maps.items()},
        {name: _names(column) for name, column in found.names.items()},
        np.array(evaluator.values, dtype=np.object_)[evaluator.codes],
    )
    rows = ClosedRows(
        source="events",
        start_ms=found.numbers["window_start"].astype(np.int64),
        window_s=found.numbers["window_s"].astype(np.int64),
        partition=found.numbers["partition"].astype(np.int64),
        mode=Labels(*mode),
        language=Labels(*found.labels["language"]),
        workflow=Labels(*found.labels["workflow"]),
        columns=columns,
        requests_from_ms=_requested_ms(found),
    )
    has_mode = ~_is(mode, "")
    parts = (
        rows.part(np.flatnonzero(has_mode & _is(source, name)), source=name) for name in SOURCES
    )
    return [part for part in parts if part.n]


def _requested_ms(found: NativeColumns) -> IntArray:
    """From when on requests were made: their own window, but for evaluations."""
    starts, own = (
        found.numbers[name].astype(np.int64) for name in ("window_start", "requests_from")
    )
    return np.where(own > 0, own, starts)


def _is(column: LabelColumn, value: str) -> BoolArray:
    is_value = np.array([one == value for one in column.values], dtype=np.bool_)
    return np.asarray(is_value[column.codes])


def _names(column: NamesColumn) -> NameColumn:
    rows = np.repeat(np.arange(column.sizes.size), column.sizes)
    codes, names = column.keys
    return NameColumn(column.sizes.size, rows, codes, names, column.values)


def _histograms(column: MapColumn) -> HistogramColumn:
    rows = np.repeat(np.arange(column.sizes.size), column.sizes)
    return HistogramColumn(column.sizes.size, rows, column.keys, column.values)
