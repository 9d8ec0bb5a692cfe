"""Packed arrays: counts in as few bytes as their columns take, the same ones for the same counts.

Statistics are float64 in memory. Most columns of a rollout's open rows hold small whole numbers or
nothing at all, so each column is stored in the smallest type that holds it exactly.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray

_TYPES: Final = ("u1", "u2", "u4", "f8")
"""Of little-endian columns, smallest first; the last one holds everything."""
_MOST: Final = (0xFF, 0xFFFF, 0xFFFF_FFFF)
"""The largest whole number that each type but the last can hold."""


class PackedColumns(msgspec.Struct, frozen=True, array_like=True):
    """Columns of one type: their places, and their values one column after the other."""

    type: str
    places: list[int]
    values: bytes


class PackedArray(msgspec.Struct, frozen=True, array_like=True):
    """A table of numbers, columns of zeros left out."""

    n_rows: int
    n_columns: int
    columns: list[PackedColumns]


def pack(table: FloatArray) -> PackedArray:
    """Return (n_rows, n_columns) float64 packed."""
    n_rows, n_columns = table.shape
    packed = []
    if n_rows:
        types = _smallest_types(table)
        for number, name in enumerate(_TYPES):
            places = np.flatnonzero(types == number)
            if places.size:
                values = np.ascontiguousarray(table[:, places].T).astype(f"<{name}").tobytes()
                packed.append(PackedColumns(name, places.tolist(), values))
    return PackedArray(n_rows, n_columns, packed)


def unpack(packed: PackedArray) -> FloatArray:
    """Return the table that was packed, float64."""
    table = np.zeros((packed.n_rows, packed.n_columns))
    for columns in packed.columns:
        values = np.frombuffer(columns.values, dtype=f"<{columns.type}")
        table[:, columns.places] = values.reshape(len(columns.places), packed.n_rows).T
    return table


def _smallest_types(table: FloatArray) -> npt.NDArray[np.int64]:
    """Return the place in `_TYPES` of each column's type; -1 for a column of zeros."""
    largest = table.max(axis=0)
    is_whole = (table >= 0.0).all(axis=0) & (table == np.floor(table)).all(axis=0)
    types = np.where(is_whole, np.searchsorted(_MOST, largest), len(_TYPES) - 1)
    return np.where(table.any(axis=0), types, -1)
