"""Window rows in columns: the sums of many rows, as far as somebody reads them.

A column is named as in ClickHouse, `<section>_<sum>`. The same readers take columns from messages
of window rows and from blocks that a query returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.measure_kinds import SumKind
from understudy.schemas.measures import SUMS
from understudy.schemas.row_lists import RowLists
from understudy.schemas.windows import WindowRow, row_lists

LabelArray = npt.NDArray[np.object_]
PLACES: Final[Mapping[str, str]] = {
    f"{section}_{one.name}": f"{section}.{one.name}"
    for section, sums in SUMS.items()
    for one in sums
    if one.kind is not SumKind.NAMES
}
"""Column to the place of the sum in a row, as `attrgetter` takes it; names are no sums."""
NAME_PLACES: Final[Mapping[str, str]] = {
    f"{section}_{one.name}": f"{section}.{one.name}"
    for section, sums in SUMS.items()
    for one in sums
    if one.kind is SumKind.NAMES
}
"""The same of columns that hold counts by name."""
HISTOGRAMS: Final = frozenset(
    f"{section}_{one.name}"
    for section, sums in SUMS.items()
    for one in sums
    if one.kind is SumKind.HISTOGRAM
)
"""Columns that hold a histogram in each row."""


_AT_ONCE: Final = 1 << 18
"""Entries times buckets that are compared in one call, some 10 MB; a burst has fewer."""
MANY_POLICIES: Final = 1024
"""Names of columns follow from the metrics of a policy; a worker holds rollouts of as many."""


class HistogramColumn:
    """Histograms of n rows, flattened: entry i has `counts[i]` in `buckets[i]` of row `rows[i]`."""

    def __init__(self, n_rows: int, rows: IntArray, buckets: IntArray, counts: FloatArray) -> None:
        self.n_rows = n_rows
        self.rows, self.buckets, self.counts = rows, buckets, counts
        self._total: FloatArray | None = None

    @classmethod
    def of(cls, histograms: Sequence[Mapping[int, int]]) -> HistogramColumn:
        """Of one histogram for each row."""
        sizes = [len(one) for one in histograms]
        entries = sum(sizes)
        return cls(
            len(sizes),
            np.repeat(np.arange(len(sizes)), sizes),
            np.fromiter(chain.from_iterable(histograms), np.int64, entries),
            np.fromiter(
                chain.from_iterable(one.values() for one in histograms), np.float64, entries
            ),
        )

    def part(self, rows: slice | IntArray) -> HistogramColumn:
        """Those of some rows, in their order."""
        size, places, kept = _part(self.n_rows, self.rows, rows)
        return HistogramColumn(size, places, self.buckets[kept], self.counts[kept])

    def total(self) -> FloatArray:
        """Counts of each row together, (n,)."""
        if self._total is None:  # tails ask for it again and again
            self._total = self._added(self.counts)
        return self._total

    def above(self, bucket: int) -> FloatArray:
        """Counts above the upper edge of a bucket, (n,)."""
        return self._added(np.where(self.buckets > bucket, self.counts, 0.0))

    def above_each(self, buckets: IntArray) -> FloatArray:
        """Counts above each of some buckets of each row, (n, m) of (n, m)."""
        n_buckets = buckets.shape[1]
        if n_buckets > 1 and self.rows.size * n_buckets > _AT_ONCE:
            return np.concatenate([self.above_each(one[:, None]) for one in buckets.T], axis=1)
        counts = np.where(self.buckets[:, None] > buckets[self.rows], self.counts[:, None], 0.0)
        cells = self.rows[:, None] * n_buckets + np.arange(n_buckets)
        added = np.bincount(cells.reshape(-1), counts.reshape(-1), self.n_rows * n_buckets)
        return added.astype(np.float64, copy=False).reshape(self.n_rows, n_buckets)

    def weighted(self, values: FloatArray) -> FloatArray:
        """Sum of counts x values of the entries, (n,)."""
        return self._added(self.counts * values)

    def spread(self, lowest: int, n_buckets: int) -> FloatArray:
        """Counts of each row in some buckets from the lowest on, (n, n_buckets); others nowhere."""
        places = self.buckets - lowest
        kept = (places >= 0) & (places < n_buckets)
        cells = self.rows[kept] * n_buckets + places[kept]
        counts = np.bincount(cells, weights=self.counts[kept], minlength=self.n_rows * n_buckets)
        return counts.astype(np.float64, copy=False).reshape(self.n_rows, n_buckets)

    def _added(self, numbers: FloatArray) -> FloatArray:
        added = np.bincount(self.rows, weights=numbers, minlength=self.n_rows)
        return added.astype(np.float64, copy=False)


class NameColumn:
    """Counts by name of n rows, flattened: entry i has `counts[i]` of a name in row `rows[i]`."""

    def __init__(
        self, n_rows: int, rows: IntArray, codes: IntArray, names: Sequence[str], counts: FloatArray
    ) -> None:
        """`codes` (m,) are places in `names`."""
        self.n_rows = n_rows
        self.rows, self.codes, self.names, self.counts = rows, codes, names, counts

    @classmethod
    def of(cls, maps: Sequence[Mapping[str, int]]) -> NameColumn:
        """Of one map for each row."""
        names = list(dict.fromkeys(chain.from_iterable(maps)))
        places = {name: place for place, name in enumerate(names)}
        codes = [places[name] for name in chain.from_iterable(maps)]
        counts = list(chain.from_iterable(one.values() for one in maps))
        rows = np.repeat(np.arange(len(maps)), [len(one) for one in maps])
        return cls(
            len(maps), rows, np.array(codes, np.int64), names, np.array(counts, dtype=np.float64)
        )

    def part(self, rows: slice | IntArray) -> NameColumn:
        """Those of some rows, in their order."""
        size, places, kept = _part(self.n_rows, self.rows, rows)
        return NameColumn(size, places, self.codes[kept], self.names, self.counts[kept])

    def added(self, groups: IntArray, n_groups: int) -> list[dict[str, int]]:
        """Add up the rows of each group, given (n,) the rows' groups; -1 for none."""
        found: list[dict[str, int]] = [{} for _ in range(n_groups)]
        kept = groups[self.rows] >= 0
        cells = groups[self.rows[kept]] * max(1, len(self.names)) + self.codes[kept]
        distinct, places = np.unique(cells, return_inverse=True)
        counts = np.bincount(places, weights=self.counts[kept], minlength=distinct.size)
        for cell, count in zip(distinct.tolist(), counts.tolist(), strict=True):
            group, code = divmod(cell, len(self.names))
            found[group][self.names[code]] = int(count)
        return found


class RowsTaken(NamedTuple):
    """Rows of one rollout and source as they travelled, or some of them by their places."""

    lists: RowLists
    places: Sequence[int] | None = None
    """None for all."""

    @property
    def n(self) -> int:
        """How many rows are taken."""
        return len(self.lists.window_start if self.places is None else self.places)

    def values(self, columns: Sequence[list[Any]]) -> Sequence[list[Any]]:
        """Return the values of the rows taken, given those of all."""
        if self.places is None:
            return columns
        return [[values[place] for place in self.places] for values in columns]


class NumberTable(Mapping[str, FloatArray]):
    """Columns of numbers that lie together, by name: no view is made before it is asked for."""

    def __init__(self, names: tuple[str, ...], table: FloatArray) -> None:
        """The table is (names, n)."""
        self._names, self._table = names, table
        self._places = _places_of(names)

    def __getitem__(self, name: str) -> FloatArray:
        column: FloatArray = self._table[self._places[name]]
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def part(self, rows: slice | IntArray) -> NumberTable:
        """Those of some rows, in their order."""
        return NumberTable(self._names, self._table[:, rows])

    def together(self, names: tuple[str, ...]) -> FloatArray:
        """Return some columns, (names, n)."""
        return self._table[_places_in(self._names, names)]


class RowColumns:
    """Columns of n rows: numbers as (n,) float64 arrays, histograms flattened.

    Asking for a column that it does not hold is a KeyError.
    """

    def __init__(
        self,
        is_paired: BoolArray,
        numbers: Mapping[str, FloatArray],
        histograms: Mapping[str, HistogramColumn] | None = None,
        names: Mapping[str, NameColumn] | None = None,
        evaluators: LabelArray | None = None,
    ) -> None:
        """`is_paired` (n,) says of which rows both sides of each request were compared.

        `evaluators` (n,) are those of rows of evaluations; None where there are none.
        """
        self.is_paired = is_paired
        self._evaluators = evaluators
        self._numbers = numbers
        self._histograms = histograms or {}
        self._names = names or {}

    @classmethod
    def of_lists(cls, taken: Sequence[RowsTaken], names: Iterable[str]) -> RowColumns:
        """Return these columns of rows as they travelled, one message after the other.

        Raises OverflowError for numbers that no float can hold.
        """
        wanted = _by_kind(frozenset(names))
        modes = _labels_of(taken, "mode", None)
        evaluators = _labels_of(taken, "evaluator", "")
        return cls(
            np.array([mode in PAIRED_MODES for mode in modes], dtype=np.bool_),
            NumberTable(wanted.numbers, _numbers_of(taken, wanted.numbers)),
            {name: HistogramColumn.of(_labels_of(taken, name, {})) for name in wanted.histograms},
            {name: NameColumn.of(_labels_of(taken, name, {})) for name in wanted.by_name},
            np.array(evaluators, dtype=np.object_) if any(evaluators) else None,
        )

    @classmethod
    def of_rows(cls, rows: Sequence[WindowRow], names: Iterable[str]) -> RowColumns:
        """Return these columns of rows of one rollout and source."""
        return cls.of_lists([RowsTaken(row_lists(rows))], names)

    @property
    def n(self) -> int:
        """How many rows there are."""
        return self.is_paired.size

    def part(self, rows: slice | IntArray) -> RowColumns:
        """Those of some rows, in their order, each at most once."""
        numbers = self._numbers
        return RowColumns(
            self.is_paired[rows],
            numbers.part(rows)
            if isinstance(numbers, NumberTable)
            else {name: column[rows] for name, column in numbers.items()},
            {name: column.part(rows) for name, column in self._histograms.items()},
            {name: column.part(rows) for name, column in self._names.items()},
            None if self._evaluators is None else self._evaluators[rows],
        )

    def is_by(self, evaluator: str) -> BoolArray:
        """Return which rows are of an evaluator, (n,)."""
        if self._evaluators is None:
            return np.full(self.n, evaluator == "")
        return np.asarray(self._evaluators == evaluator, dtype=np.bool_)

    def __getitem__(self, name: str) -> FloatArray:
        """Return a column of numbers."""
        return self._numbers[name]

    def together(self, names: tuple[str, ...]) -> FloatArray:
        """Return columns of numbers, (names, n)."""
        if isinstance(self._numbers, NumberTable):
            return self._numbers.together(names)
        return np.array([self[name] for name in names]).reshape(len(names), self.n)

    def histogram(self, name: str) -> HistogramColumn:
        """Return a column of histograms."""
        return self._histograms[name]

    def by_name(self, name: str) -> NameColumn:
        """Return a column of counts by name."""
        return self._names[name]


class _ByKind(NamedTuple):
    """Names of columns, in their order."""

    numbers: tuple[str, ...]
    histograms: tuple[str, ...]
    by_name: tuple[str, ...]


@lru_cache(MANY_POLICIES)
def _by_kind(names: frozenset[str]) -> _ByKind:
    wanted, others = sorted(names), HISTOGRAMS | NAME_PLACES.keys()
    return _ByKind(
        tuple(name for name in wanted if name not in others),
        tuple(name for name in wanted if name in HISTOGRAMS),
        tuple(name for name in wanted if name in NAME_PLACES),
    )


@lru_cache(MANY_POLICIES)
def _places_of(names: tuple[str, ...]) -> Mapping[str, int]:
    return {name: place for place, name in enumerate(names)}


@lru_cache(MANY_POLICIES)
def _places_in(known: tuple[str, ...], names: tuple[str, ...]) -> IntArray:
    return np.array([known.index(name) for name in names], dtype=np.int64)


def _part(n_rows: int, rows: IntArray, chosen: slice | IntArray) -> tuple[int, IntArray, BoolArray]:
    """Return how many rows were chosen, the new places of entries, and which entries are kept."""
    old = np.arange(n_rows)[chosen]
    new_place = np.full(n_rows, -1)
    new_place[old] = np.arange(old.size)
    places = new_place[rows]
    kept = places >= 0
    return old.size, places[kept], kept


def _numbers_of(taken: Sequence[RowsTaken], names: tuple[str, ...]) -> FloatArray:
    """Return columns of numbers, (names, n)."""
    table = np.zeros((len(names), sum(one.n for one in taken)))
    start, read = 0, _reader_of(names)
    for one in taken:
        columns = read(one.lists)
        present = [place for place, values in enumerate(columns) if values is not UNSET]
        # One call for the numbers of a message: most columns have few.
        values = chain.from_iterable(one.values([columns[place] for place in present]))
        found = np.fromiter(values, np.float64, len(present) * one.n)
        table[present, start : start + one.n] = found.reshape(len(present), one.n)
        start += one.n
    return table


@lru_cache(MANY_POLICIES)
def _reader_of(names: tuple[str, ...]) -> Callable[[RowLists], tuple[Any, ...]]:
    """Return what takes columns as they travelled, missing ones included; always a tuple."""
    unknown = [name for name in names if name not in RowLists.__struct_fields__]
    if unknown:
        raise KeyError(*unknown)
    if len(names) == 1:
        return lambda lists: (getattr(lists, names[0]),)
    return attrgetter(*names) if names else lambda lists: ()


def _labels_of(taken: Sequence[RowsTaken], name: str, missing: Any) -> list[Any]:
    """Return a column that is no number, of all rows."""
    found: list[Any] = []
    for one in taken:
        values = getattr(one.lists, name)
        found += [missing] * one.n if values is UNSET else one.values([values])[0]
    return found
