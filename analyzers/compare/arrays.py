"""Arrays of measures, and records of such columns joined end to end or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Columns = TypeVar("Columns", bound=DataclassInstance)

Bools = NDArray[np.bool_]
Bytes = NDArray[np.int8]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float64]


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Several sets of the same columns as one, row after row; at least one part."""
    first, *others = parts
    if not others:
        return first
    return type(first)(
        *(_end_to_end([getattr(part, field.name) for part in parts]) for field in fields(first))
    )


def _end_to_end(columns: list[Any]) -> Any:
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return list(chain.from_iterable(columns))


def select(columns: Columns, rows: slice | list[int]) -> Columns:
    """The same columns of some rows."""
    return type(columns)(*(_some(getattr(columns, field.name), rows) for field in fields(columns)))


def _some(column: Any, rows: slice | list[int]) -> Any:
    if is_dataclass(column) and not isinstance(column, type):
        return select(column, rows)
    if isinstance(column, np.ndarray) or isinstance(rows, slice):
        return column[rows]
    return [column[row] for row in rows]
