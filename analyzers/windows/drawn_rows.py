"""Rows drawn from sums, and many of them at once as columns: what pairing sends.

A column holds natural units: ticks are divided as Python divides whole numbers, so a value is the
same however many rows are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from understudy.analyzers.windows.layout import PLACES, Place
from understudy.analyzers.windows.moments import EXACT, LIMBS, join_limbs
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.row_lists import RowLists
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import NEEDED_COLUMNS, Source, WindowRow, row_at

Lists = dict[str, list[Any]]
"""Columns by name, a value for each row."""


class DrawnRow(NamedTuple):
    """One version of a row, which does not change any more."""

    key: SliceKey
    window_s: int
    source: Source
    partition: int
    version: int
    closed: bool
    vector: NDArray[np.int64]
    """(VECTOR_LENGTH,), see `layout`."""
    maps: Mapping[str, dict[Any, int]]
    """Histograms and counts by name as the row has them, by column."""
    unresolved: UnresolvedCounts | None = None
    """What waits at this version; None for nothing."""

    @classmethod
    def of(
        cls,
        sums: WindowSums,
        key: SliceKey,
        *,
        window_s: int,
        partition: int,
        version: int,
        closed: bool,
        source: Source = "events",
        unresolved: UnresolvedCounts | None = None,
    ) -> DrawnRow:
        """Draw a row; what is added to the sums later is not in it."""
        vector, maps = sums.vector.copy(), sums.maps()
        return cls(key, window_s, source, partition, version, closed, vector, maps, unresolved)

    def to_row(self) -> WindowRow:
        """The row as a record."""
        (row,) = window_rows([self])
        return row


def window_rows(rows: Sequence[DrawnRow]) -> list[WindowRow]:
    """The rows as records."""
    lists = drawn_lists(rows)
    return [
        row_at(number, lists, row.key.rollout_id, row.source, row.partition)
        for number, row in enumerate(rows)
    ]


def drawn_lists(rows: Sequence[DrawnRow]) -> Lists:
    """Rows as columns, of which `part_of_lists` makes those that travel."""
    return {
        "window_start": [from_epoch_ms(row.key.window_start_ms) for row in rows],
        "window_s": [row.window_s for row in rows],
        "language": [row.key.language for row in rows],
        "version": [row.version for row in rows],
        "mode": [row.key.mode or None for row in rows],
        "workflow": [row.key.workflow for row in rows],
        "evaluator": [row.key.evaluator for row in rows],
        "requests_from": [
            from_epoch_ms(row.key.requests_from_ms) if row.key.evaluator else None for row in rows
        ],
        "closed": [row.closed for row in rows],
        **measured(rows),
    }


def part_of_lists(lists: Lists, rows: slice) -> RowLists:
    """Some rows of one rollout, source and partition as they travel."""
    part = RowLists()
    for column, values in lists.items():
        own = values[rows]
        if any(own) or column in NEEDED_COLUMNS:
            setattr(part, column, own)  # to look up a hundred keywords takes ten times as long
    return part


def measured(rows: Sequence[DrawnRow]) -> Lists:
    """The measures of rows, without those that are zero or empty in all of them."""
    if not rows:
        return {}
    vectors = np.array([row.vector for row in rows])
    found = _counts(vectors) | _totals(vectors) | _products(vectors)
    for column in dict.fromkeys(chain.from_iterable(row.maps for row in rows)):
        found[column] = [row.maps.get(column, {}) for row in rows]
    found |= _unresolved(rows)
    return {column: values for column, values in found.items() if any(values)}


class _Numbers(NamedTuple):
    """Numbers of a row that are made alike, (m,)."""

    columns: list[str]
    slots: NDArray[np.int64]
    divisors: NDArray[np.float64]
    """Powers of ten of at most 22 digits, which are floats without rounding."""

    def present(self, vectors: NDArray[np.int64]) -> _Numbers:
        """Those that are not zero in all rows."""
        places = np.flatnonzero(vectors[:, self.slots].any(axis=0))
        columns = [self.columns[place] for place in places.tolist()]
        return _Numbers(columns, self.slots[places], self.divisors[places])


def _alike(places: Iterable[Place]) -> _Numbers:
    kept = list(places)
    return _Numbers(
        [place.column for place in kept],
        np.array([place.slot for place in kept], dtype=np.int64),
        np.array([float(place.divisor) for place in kept]),
    )


_COUNTS: Final = _alike(p for p in PLACES.values() if not p.is_product and p.divisor == 1)
_TOTALS: Final = _alike(p for p in PLACES.values() if not p.is_product and p.divisor != 1)
_PRODUCTS: Final = _alike(p for p in PLACES.values() if p.is_product)


def _counts(vectors: NDArray[np.int64]) -> Lists:
    present = _COUNTS.present(vectors)
    return dict(zip(present.columns, vectors[:, present.slots].T.tolist(), strict=True))


def _totals(vectors: NDArray[np.int64]) -> Lists:
    present = _TOTALS.present(vectors)
    ticks = vectors[:, present.slots].T
    values: list[list[float]] = (ticks / present.divisors[:, None]).tolist()
    # numpy rounds whole numbers beyond those of floats before it divides them.
    for column, row in np.argwhere((ticks > EXACT) | (ticks < -EXACT)).tolist():
        values[column][row] = int(ticks[column, row]) / int(present.divisors[column])
    return dict(zip(present.columns, values, strict=True))


def _products(vectors: NDArray[np.int64]) -> Lists:
    """Sums of products, in Python's whole numbers: most don't fit into 64 bits."""
    parts = vectors[:, _PRODUCTS.slots[:, None] + np.arange(LIMBS)]
    present = np.flatnonzero(parts.any(axis=(0, 2)))
    of_columns: list[list[list[int]]] = parts[:, present].swapaxes(0, 1).tolist()
    found: Lists = {}
    for place, of_rows in zip(present.tolist(), of_columns, strict=True):
        products = [join_limbs(*some) for some in of_rows]
        divisor = int(_PRODUCTS.divisors[place])
        found[_PRODUCTS.columns[place]] = (
            products if divisor == 1 else [one / divisor for one in products]
        )
    return found


def _unresolved(rows: Sequence[DrawnRow]) -> Lists:
    if all(row.unresolved is None for row in rows):
        return {}
    counts = zip(*(astuple(row.unresolved or _NOTHING_WAITS) for row in rows), strict=True)
    return dict(zip(_UNRESOLVED, map(list, counts), strict=True))


_NOTHING_WAITS: Final = UnresolvedCounts()
_UNRESOLVED: Final = [f"unresolved_{name}" for name in UnresolvedCounts.__struct_fields__]
