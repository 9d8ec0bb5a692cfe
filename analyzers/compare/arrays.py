"""Arrays of measures, and records of such columns joined end to end or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
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
        *(_end_to_end([getattr(part, name) for part in parts]) for name in _names(type(first)))
    )


def _end_to_end(columns: list[Any]) -> Any:
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return list(chain.from_iterable(columns))


def select(columns: Columns, rows: slice | list[int]) -> Columns:
    """The same columns of some rows."""
    of_type = type(columns)
    if isinstance(rows, slice):
        return of_type(*(_slice(getattr(columns, name), rows) for name in _names(of_type)))
    places = np.array(rows, dtype=np.intp)
    return of_type(*(_some(getattr(columns, name), places, rows) for name in _names(of_type)))


@cache
def _names(of_type: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of_type))


def _slice(column: Any, rows: slice) -> Any:
    if isinstance(column, np.ndarray | list):
        return column[rows]
    return select(column, rows)


def _some(column: Any, places: NDArray[np.intp], rows: list[int]) -> Any:
    if isinstance(column, np.ndarray):
        return column[places]
    if isinstance(column, list):
        return [column[row] for row in rows]
    return select(column, rows)
