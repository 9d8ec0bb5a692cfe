"""Comparisons, and sides without a partner, laid out as columns to insert.

What a call leaves out (a side that was not there, a pair, a control run) takes the column's
default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Floats, Ints
from understudy.analyzers.compare.measure_arrays import (
    ControlMeasures,
    PairMeasures,
    SideMeasures,
)
from understudy.streams.clickhouse.native_format import Column
from understudy.streams.clickhouse.tables import Columns

_SIDES: Final = ("stable", "candidate", "control")
_REASONS: Final = ("timeout", "late", "memory")
_TIMES: Final = {"request_time_ms": "request_time", "window_start_ms": "window_start"}
"""Field to column, of the times in milliseconds."""


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
    conversation_id: Sequence[str]
    """Empty where there is none."""
    turn: Ints
    """0 where it is unknown."""
    expects: Sequence[str]
    schema_id: Sequence[str]
    """Empty where there is none."""
    window_start_ms: Ints
    partition: Ints
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
    partition: Ints
    offset: Ints
    model: Sequence[str]
    error: Bools
    error_type: Sequence[str]
    duration_ms: Floats
    """NaN where it is not known."""

    def __len__(self) -> int:
        return len(self.rollout_id)


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
    columns = _identity_columns(identity)
    columns["has_stable"] = np.full(n, stable is not None)
    columns["has_candidate"] = np.full(n, candidate is not None)
    for section, measures in (("stable", stable), ("candidate", candidate), ("pair", pair)):
        if measures is not None:
            columns.update(_prefixed(section, measures))
    if control is not None and control_rows is not None:
        columns.update(_control_columns(control, control_rows, n))
    return columns


def unmatched_columns(sides: UnmatchedSides) -> Columns:
    """n unmatched or late sides as columns of `unmatched`.

    Raises ValueError for a side or reason that the table does not know.
    """
    return {
        **_identity_columns(sides),
        "side": _numbers_of(_SIDES, sides.side),
        "reason": _numbers_of(_REASONS, sides.reason),
    }


def _identity_columns(rows: ComparisonIdentity | UnmatchedSides) -> Columns:
    """The fields as columns, times without their unit."""
    return {_TIMES.get(one.name, one.name): getattr(rows, one.name) for one in fields(rows)}


def _prefixed(
    section: str, measures: SideMeasures | PairMeasures | ControlMeasures
) -> Iterator[tuple[str, Column]]:
    for field in fields(measures):
        yield f"{section}_{field.name}", getattr(measures, field.name)


def _control_columns(control: ControlMeasures, rows: NDArray[np.intp], n: int) -> Columns:
    """Spread m control measures over n pairs; elsewhere False, no entry, and NaN for similarity."""
    if len(control) != len(rows):
        raise ValueError(f"{len(control)} control measures for {len(rows)} rows")
    columns: Columns = {"has_control": _spread(np.ones(len(rows), bool), rows, n)}
    for name, values in _prefixed("control", control):
        if isinstance(values, np.ndarray):
            columns[name] = _spread(values, rows, n)
        else:
            columns[name] = _spread_lists(values, rows, n)
    return columns


def _spread(values: NDArray[Any], rows: NDArray[np.intp], n: int) -> NDArray[Any]:
    spread = np.full(n, np.nan if values.dtype.kind == "f" else 0, values.dtype)
    spread[rows] = values
    return spread


def _spread_lists(values: Sequence[Any], rows: NDArray[np.intp], n: int) -> list[Any]:
    nothing: list[Any] = []  # shared, since nobody changes the lists of a block
    spread = [nothing] * n
    for row, value in zip(rows.tolist(), values, strict=True):
        spread[row] = value
    return spread


def _numbers_of(names: Sequence[str], values: Sequence[str]) -> list[int]:
    """The number of each name in its enum."""
    unknown = set(values).difference(names)
    if unknown:
        raise ValueError(f"{sorted(unknown)} not among {list(names)}")
    return [names.index(value) + 1 for value in values]
