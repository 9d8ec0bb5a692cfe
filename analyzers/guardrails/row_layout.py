"""The row layout: what is kept of a window row of one source, as one vector of numbers.

    | statistics by key | requests and turns | products of turns by key
      | tails by kind of slice and key | gauges | events arrived, late |

Checks that read the same share their statistics. A tail is read once for every kind of slice that a
row belongs to, since each slice has thresholds of its own. Gauges are the requests that still wait
for a side. Added up over the rows of a window and slice, vectors become batches:

    | statistics by key | requests and turns | products of turns by key | tails by key | gauges |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.checks import MOST_GUARDRAIL_SETS, Check
from understudy.analyzers.guardrails.closed_rows import ClosedRows
from understudy.analyzers.guardrails.column_readers import (
    BAD_AMONG,
    NO_BUCKET,
    ImpossibleCounts,
    Reader,
    TailReader,
)
from understudy.analyzers.guardrails.design_effect import PARTIES, TurnSums
from understudy.analyzers.guardrails.linear_sums import LinearSums
from understudy.analyzers.guardrails.measured_since import columns_that_show
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.slice_table import NO_PLACE, SliceTable
from understudy.analyzers.guardrails.slices import N_KINDS, kinds_of
from understudy.analyzers.guardrails.stage_counts import ARRIVED_COLUMNS
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.guardrails.turn_readers import (
    COUNT_WIDTH,
    PRODUCT_WIDTH,
    are_products_linear,
    count_names,
    product_names,
    products_key,
    products_reader,
    read_counts,
)
from understudy.analyzers.guardrails.window_store import RowKey
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.schemas.windows import SOURCES, Source

ARRIVED: Final = len(ARRIVED_COLUMNS)
"""Numbers at the end of a row: events that have ended somewhere, and how many of them came late."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """A tail's check, the kinds of slices that it is read for, and its place in a row and batch."""

    check: Check
    kinds: tuple[int, ...]
    start: int
    in_batch: slice


class _Measure(NamedTuple):
    """The tails of one measure, which are read together."""

    reader: TailReader
    tails: list[tuple[Check, int]]
    """Checks and kinds of slices."""
    places: IntArray
    """In a row, one tail after the other."""


class RowLayout:
    """Of the rows of one source under some checks."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._readers = {check.key: check.reader for check in checks if check.reader is not None}
        self._parts: dict[str, slice] = {}
        width = 0
        for key, reader in self._readers.items():
            self._parts[key] = slice(width, width + len(reader.fields))
            width += len(reader.fields)
        self._n_statistics = width
        self._counts: dict[str, slice] = {}
        for evaluator in dict.fromkeys(["", *(check.evaluator for check in checks)]):
            self._counts[evaluator] = slice(width, width + COUNT_WIDTH)
            width += COUNT_WIDTH
        self._products: dict[str, tuple[Check, slice]] = {}
        for check in checks:
            key = products_key(check)
            if key not in self._products:
                self._products[key] = check, slice(width, width + PRODUCT_WIDTH)
                width += PRODUCT_WIDTH
        self.n_common = in_batch = width
        tails: dict[str, _Tail] = {}
        for check in checks:
            if check.reader is None and check.key not in tails:
                n_fields, kinds = len(check.tail.fields), _kinds(checks, check.key)
                place = slice(in_batch, in_batch + n_fields)
                tails[check.key] = _Tail(check, kinds, width, place)
                self._parts[check.key] = place
                width, in_batch = width + len(kinds) * n_fields, place.stop
        self._linear, self._linear_places = self._all_linear()
        self._apart = [
            (self._parts[key], reader)
            for key, reader in self._readers.items()
            if not reader.is_linear
        ]
        """Where statistics are that are read by a reader alone."""
        self._products_apart = [
            (part, products_reader(check))
            for check, part in self._products.values()
            if not are_products_linear(check)
        ]
        self._units, self._bad = self._bad_among()
        self._tails = list(tails.values())
        self._measured = _by_measure(self._tails)
        self._tail_kinds = {kind for tail in self._tails for kind in tail.kinds}
        tail_readers = [tail.check.tail for tail in self._tails]
        readers: list[Reader | TailReader] = [*self._readers.values(), *tail_readers]
        nothing = frozenset[str]()
        names = nothing.union(
            *(reader.names() for reader in readers),
            *(product_names(check) for check in checks),
            *(columns_that_show(check.metric.name) for check in checks),
            *map(count_names, self._counts),
            *ARRIVED_COLUMNS,
        )
        gauges = nothing.union(*(reader.gauge_names() for reader in readers))
        self.gauges = sorted(gauges)
        self.names = names | gauges
        """The columns that `read` needs."""
        self._gauges_in_row = slice(width, width + len(self.gauges))
        self.gauges_in_batch = slice(in_batch, in_batch + len(self.gauges))
        self.width = self._gauges_in_row.stop + ARRIVED
        self.batch_width = self.gauges_in_batch.stop
        self._counted = np.r_[0 : self._n_statistics, self.width - ARRIVED : self.width]
        """Numbers of a row that never fall from one version to the next."""
        self._columns_of_kind = [self._sources(kind) for kind in range(N_KINDS)]
        self._numbers_of_kind = [np.flatnonzero(one < self.width) for one in self._columns_of_kind]
        """Which numbers of a batch some number of a row is added to, by kind of slice."""
        self._sources_of_numbers = [
            sources[numbers]
            for sources, numbers in zip(self._columns_of_kind, self._numbers_of_kind, strict=True)
        ]

    @property
    def counts(self) -> slice:
        """Where requests and turns stand that no evaluator judges."""
        return self._counts[""]

    def part(self, key: str) -> slice:
        """Return the place of a check's statistics in a batch."""
        return self._parts[key]

    def products_part(self, check: Check) -> slice:
        """Return the place of a check's products of turns in a batch."""
        return self._products[products_key(check)][1]

    def turn_sums(self, check: Check, batches: FloatArray, places: IntArray) -> TurnSums:
        """Return what batches (…, all slices, batch_width) say about turns in a check's slices."""
        _, of_check = self._products[products_key(check)]
        counts = batches[..., places, self._counts[check.evaluator]]
        products = batches[..., places, of_check]
        counts = counts.reshape(*counts.shape[:-1], PARTIES, COUNT_WIDTH // PARTIES)
        products = products.reshape(*products.shape[:-1], PARTIES, PRODUCT_WIDTH // PARTIES)
        return TurnSums(np.concatenate([counts[..., 1:], products], axis=-1), counts[..., 0])

    def turn_counts(self, batches: FloatArray, evaluator: str = "") -> TurnSums:
        """Return how many turns and requests batches (…, width) have, without any outcome.

        Of those alone that an evaluator judged, where one is named.
        """
        counts = batches[..., self._counts[evaluator]]
        counts = counts.reshape(*counts.shape[:-1], PARTIES, COUNT_WIDTH // PARTIES)
        return TurnSums(counts[..., 1:], counts[..., 0])

    def read(
        self,
        keys: Sequence[RowKey],
        columns: RowColumns,
        table: SliceTable,
        thresholds: TailThresholds,
    ) -> FloatArray:
        """Return the vectors of rows, (n, width). Raises ValueError for counts that cannot be."""
        vectors = np.zeros((len(keys), self.width), order="F")  # they are written by columns
        self._read_common(columns, vectors)
        if self._tails:
            self._read_tails(columns, keys, table, thresholds, vectors)
        for column, name in enumerate(self.gauges, self._gauges_in_row.start):
            vectors[:, column] = columns[name]
        for column, added in enumerate(ARRIVED_COLUMNS, -ARRIVED):
            vectors[:, column] = sum(columns[name] for name in added)
        return np.ascontiguousarray(vectors)

    def read_closed(
        self, rows: ClosedRows, places: IntArray, buckets: Callable[[Check, IntArray], IntArray]
    ) -> FloatArray:
        """Return the vectors of rows whose places by kind of slice are (n, kinds), (n, width).

        `buckets` returns (n, 3) buckets of a tail for rows in slices at (n,) places. Nothing waits.
        """
        vectors = np.zeros((rows.n, self.width), order="F")
        self._read_common(rows.columns, vectors)
        for measure in self._measured:
            each = [buckets(check, places[:, kind]) for check, kind in measure.tails]
            found = measure.reader.read_each(rows.columns, np.stack(each, axis=1))
            vectors[:, measure.places] = found.reshape(rows.n, measure.places.size)
        return vectors

    def closed_batches(
        self, vectors: FloatArray, steps: IntArray, places: IntArray, shape: tuple[int, int]
    ) -> FloatArray:
        """Add rows up by window and slice, (T, n_slices, batch_width) of `shape` (T, n_slices).

        `steps` (n,) are the rows' windows. Bits are those of `batch` for each window.
        """
        n_steps, n_slices = shape
        batches = np.zeros((n_steps * n_slices, self.batch_width))
        for kind, sources in enumerate(self._columns_of_kind):
            covered = np.flatnonzero(places[:, kind] != NO_PLACE)
            cells = steps[covered] * n_slices + places[covered, kind]
            for number in np.flatnonzero(sources < self.width).tolist() if covered.size else ():
                weights = vectors[covered, sources[number]]
                batches[:, number] += np.bincount(cells, weights, minlength=len(batches))
        return batches.reshape(n_steps, n_slices, self.batch_width)

    def batch(self, vectors: FloatArray, keys: Sequence[RowKey], table: SliceTable) -> FloatArray:
        """Add rows up by slice, (n_slices, batch_width), in the order in which they are given."""
        batch = np.zeros((len(table.names), self.batch_width))
        if not keys:
            return batch
        places = np.array([table.places_of(key.language, key.workflow, key.mode) for key in keys])
        for of_rows, numbers, sources in zip(
            places.T, self._numbers_of_kind, self._sources_of_numbers, strict=True
        ):
            for place in set(of_rows.tolist()) - {NO_PLACE}:
                is_of_slice = of_rows == place
                own = vectors if is_of_slice.all() else vectors[is_of_slice]
                # Along the first axis numpy adds one row after the other, as their order asks for.
                batch[place, numbers] = own.sum(axis=0)[sources]
        return batch

    @property
    def sources_by_kind(self) -> list[tuple[IntArray, IntArray]]:
        """By kind of slice, numbers of a batch, and which number of a row each of them adds up."""
        return list(zip(self._numbers_of_kind, self._sources_of_numbers, strict=True))

    def shrank(self, before: FloatArray, after: FloatArray) -> bool:
        """Return whether a newer version of some row holds less than an older one, (n, width)."""
        shrunk: BoolArray = np.asarray((after < before).any(axis=0))
        return bool(shrunk[self._counted].any())

    def _read_common(self, columns: RowColumns, vectors: FloatArray) -> None:
        """Read what is the same in every slice."""
        for part, reader in self._apart:
            vectors[:, part] = reader.read(columns)
        for evaluator, part in self._counts.items():
            if evaluator:
                vectors[:, part] = read_counts(columns, evaluator)
        for part, read in self._products_apart:
            vectors[:, part] = read(columns)
        sums = self._linear.read(columns)
        bad = sum((sums[:, one] for one in self._bad[1:]), start=sums[:, self._bad[0]])
        if ((bad < 0.0) | (bad > sums[:, self._units])).any():
            raise ImpossibleCounts
        vectors[:, self._linear_places] = sums[:, : self._linear_places.size]

    def _all_linear(self) -> tuple[LinearSums, IntArray]:
        """Return all that adds up columns, with a sum of nothing at the end; and where it goes."""
        readers = {key: one for key, one in self._readers.items() if one.is_linear}
        products = [part for part in self._products.values() if are_products_linear(part[0])]
        names = frozenset[str]().union(
            *(reader.names() for reader in readers.values()),
            *(product_names(check) for check, _ in products),
            count_names(),
        )

        def read(columns: RowColumns) -> FloatArray:
            parts = [reader.read_anything(columns) for reader in readers.values()]
            parts += [read_counts(columns)]
            parts += [products_reader(check)(columns) for check, _ in products]
            return np.concatenate([*parts, np.zeros((columns.n, 1))], axis=1)

        places = [self._parts[key] for key in readers] + [self.counts]
        places += [place for _, place in products]
        return LinearSums(sorted(names), read), np.concatenate([np.r_[part] for part in places])

    def _bad_among(self) -> tuple[IntArray, IntArray]:
        """Return which linear sums are units, (m,), and which are bad among them, (3, m)."""
        nothing = self._linear.width - 1
        units, bad, start = list[int](), list[list[int]](), 0
        for reader in self._readers.values():
            if not reader.is_linear:
                continue
            for units_field, bad_fields in BAD_AMONG.get(reader.fields, ()):
                units.append(start + reader.fields.index(units_field))
                places = [start + reader.fields.index(name) for name in bad_fields]
                bad.append(places + [nothing] * (3 - len(places)))
            start += len(reader.fields)
        return np.array(units, dtype=np.int64), np.array(bad, dtype=np.int64).reshape(-1, 3).T

    def _read_tails(
        self,
        columns: RowColumns,
        keys: Sequence[RowKey],
        table: SliceTable,
        thresholds: TailThresholds,
        vectors: FloatArray,
    ) -> None:
        places = [table.places_of(key.language, key.workflow, key.mode) for key in keys]
        starts_ms = [key.start_ms for key in keys]
        numbers: dict[int, dict[tuple[int, int], int]] = {kind: {} for kind in self._tail_kinds}
        """By kind, slices and windows, and their numbers."""
        of_rows = {
            kind: np.array(
                [
                    known.setdefault((of_row[kind], start_ms), len(known))
                    for of_row, start_ms in zip(places, starts_ms, strict=True)
                ],
                dtype=np.int64,
            )
            for kind, known in numbers.items()
        }
        for measure in self._measured:
            buckets, numbered = list[tuple[int, int, int]](), []
            for check, kind in measure.tails:
                numbered.append(of_rows[kind] + len(buckets))
                buckets += [
                    tail_buckets(check, thresholds, table.name_at(place), start_ms)
                    for place, start_ms in numbers[kind]
                ]
            of_tails = np.array(buckets, dtype=np.int64).reshape(-1, 3)[np.array(numbered).T]
            found = measure.reader.read_each(columns, of_tails)
            vectors[:, measure.places] = found.reshape(len(keys), measure.places.size)

    def _sources(self, kind: int) -> IntArray:
        """Return which number of a row each number of a batch adds up, past the row for none."""
        sources = np.full(self.batch_width, self.width)
        sources[: self.n_common] = np.arange(self.n_common)
        for tail in self._tails:
            if kind in tail.kinds:
                n_fields = len(tail.check.tail.fields)
                start = tail.start + tail.kinds.index(kind) * n_fields
                sources[tail.in_batch] = np.arange(start, start + n_fields)
        sources[self.gauges_in_batch] = np.arange(
            self._gauges_in_row.start, self._gauges_in_row.stop
        )
        return sources


@lru_cache(MOST_GUARDRAIL_SETS)
def layouts_of(checks: tuple[Check, ...]) -> Mapping[Source, RowLayout]:
    """Return the layout of the rows of each source; rollouts with the same checks share it."""
    return {
        source: RowLayout([check for check in checks if check.source == source])
        for source in SOURCES
    }


def _by_measure(tails: Sequence[_Tail]) -> list[_Measure]:
    by_measure: dict[str, list[_Tail]] = {}
    for tail in tails:
        by_measure.setdefault(tail.check.tail.measure, []).append(tail)
    return [
        _Measure(
            own[0].check.tail,
            [(tail.check, kind) for tail in own for kind in tail.kinds],
            np.concatenate([
                np.arange(tail.start, tail.start + len(tail.kinds) * len(tail.check.tail.fields))
                for tail in own
            ]),
        )
        for own in by_measure.values()
    ]  # fmt: skip


def tail_buckets(
    check: Check, thresholds: TailThresholds, slice_name: str | None, start_ms: int
) -> tuple[int, int, int]:
    """Return the buckets that a window is judged by: stable's, rollback's and promotion's."""
    threshold = thresholds.get(slice_name or "", {}).get(check.metric.measure)
    stable = threshold.bucket(check.metric.quantile, start_ms) if threshold else None
    if stable is None:
        return NO_BUCKET, NO_BUCKET, NO_BUCKET
    return stable, *check.raised_buckets(stable)


def _kinds(checks: Sequence[Check], key: str) -> tuple[int, ...]:
    """Return the kinds of slices that the checks with a key cover."""
    found = {kind for one in checks if one.key == key for kind in kinds_of(one.guardrail.slices)}
    return tuple(sorted(found))
