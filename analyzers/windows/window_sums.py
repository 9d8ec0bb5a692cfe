"""The sums of one slice in one window, and adding a batch to many of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Ints
from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.histogram import merge
from understudy.analyzers.windows.layout import MOST_NAMES, SLOTS, VECTOR_LENGTH
from understudy.analyzers.windows.name_counts import add_name, merge_names, most_frequent

_BUCKET_BITS: Final = 20
_BUCKET_OFFSET: Final = 1 << (_BUCKET_BITS - 1)
_SLICE_BITS: Final = 32
"""With the histogram's number before them and the bucket's behind they fit into 63."""


class SliceKey(NamedTuple):
    """What a window row is about; times are epoch milliseconds."""

    rollout_id: str
    mode: str
    language: str
    workflow: str
    window_start_ms: int
    evaluator: str = ""
    """`name@version`; of evaluations alone."""
    requests_from_ms: int = 0
    """Start of the minute in which the pairs were requested; of evaluations alone."""


Key = TypeVar("Key", bound=tuple[Any, ...])


def number_rows(keys: Iterable[Key]) -> tuple[NDArray[np.int64], list[Key]]:
    """Number what n rows belong to.

    Returns the index of each row's key (n,), and the distinct keys.
    """
    indices: dict[Key, int] = {}
    rows = np.array([indices.setdefault(key, len(indices)) for key in keys], dtype=np.int64)
    return rows, list(indices)


@dataclass(slots=True)
class WindowSums:
    """Everything that adds up in one slice and window; `a + b` is the sums of both."""

    vector: NDArray[np.int64] = field(default_factory=lambda: np.zeros(VECTOR_LENGTH, np.int64))
    histograms: dict[str, dict[int, int]] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often each name came, by column."""

    def __add__(self, other: WindowSums) -> WindowSums:
        histograms = {
            name: merge(self.histograms.get(name, {}), other.histograms.get(name, {}))
            for name in self.histograms.keys() | other.histograms.keys()
        }
        names = {
            name: merge_names(self.names.get(name, {}), other.names.get(name, {}))
            for name in self.names.keys() | other.names.keys()
        }
        return WindowSums(self.vector + other.vector, histograms, names)

    def add_count(self, column: str, count: int) -> None:
        """Add to one plain count."""
        self.vector[SLOTS[column]] += count

    def add_buckets(self, column: str, counts: Iterable[tuple[int, int]]) -> None:
        """Add to the counts of some buckets of a histogram."""
        histogram = self.histograms.setdefault(column, {})
        for bucket, count in counts:
            histogram[bucket] = histogram.get(bucket, 0) + count

    def add_name(self, column: str, name: str, count: int) -> None:
        """Add to the count of one name."""
        add_name(self.names.setdefault(column, {}), name, count)

    def maps(self) -> dict[str, dict[Any, int]]:
        """Histograms by bucket and counts by name as a row has them: in order, few names."""
        maps: dict[str, dict[Any, int]] = {
            column: dict(sorted(histogram.items())) for column, histogram in self.histograms.items()
        }
        for column, counts in self.names.items():
            maps[column] = most_frequent(counts, MOST_NAMES[column])
        return maps


def sum_by_slice(
    slices: NDArray[np.int64], n_slices: int, columns: WindowColumns
) -> NDArray[np.int64]:
    """Add up all number columns per slice.

    `slices` (n,) holds the index of each row's slice. Returns (n_slices, VECTOR_LENGTH).
    """
    totals = np.zeros((VECTOR_LENGTH, n_slices), np.int64)
    order = np.argsort(slices, kind="stable")
    present, starts = np.unique(slices[order], return_index=True)
    for slots, values in _alike(columns.numbers, max(1, _ADDED_TOGETHER // len(slices))):
        in_order = np.array(values).take(order, axis=1)
        sums = np.add.reduceat(in_order, starts, axis=1, dtype=np.int64)
        totals[np.array(slots)[:, None], present] = sums
    return totals.T


_ADDED_TOGETHER: Final = 16_384
"""Numbers, in 128 kB at most: a batch of few rows takes as long as numpy is called often, one of
many rows longer than need be where what is added leaves the cache."""


def _alike(
    numbers: Mapping[str, Bools | Ints], most: int
) -> Iterator[tuple[list[int], list[Bools | Ints]]]:
    """Yield slots and their numbers (n,), some of one type at a time."""
    by_type: dict[np.dtype[Any], tuple[list[int], list[Bools | Ints]]] = {}
    for column, values in numbers.items():
        slots, rows = by_type.setdefault(values.dtype, ([], []))
        parts = values if values.ndim == 2 else (values,)
        slots += range(SLOTS[column], SLOTS[column] + len(parts))
        rows.extend(parts)
    for slots, rows in by_type.values():
        for start in range(0, len(slots), most):
            yield slots[start : start + most], rows[start : start + most]


def buckets_by_slice(
    slices: NDArray[np.int64], columns: WindowColumns
) -> Iterator[tuple[int, str, list[tuple[int, int]]]]:
    """Yield (slice, histogram, its buckets and their counts) of all histograms."""
    names = list(columns.buckets)
    codes = [
        (number << _SLICE_BITS) + slices[rows] << _BUCKET_BITS | buckets + _BUCKET_OFFSET
        for number, (rows, buckets) in enumerate(columns.buckets.values())
    ]
    if not codes:
        return
    unique, counts = np.unique(np.concatenate(codes), return_counts=True)
    owners = unique >> _BUCKET_BITS
    indices = (unique & ((1 << _BUCKET_BITS) - 1)) - _BUCKET_OFFSET
    found = list(zip(indices.tolist(), counts.tolist(), strict=True))
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    for owner, (start, end) in zip(
        owners[starts].tolist(), pairwise([*starts.tolist(), len(found)]), strict=True
    ):
        yield owner & ((1 << _SLICE_BITS) - 1), names[owner >> _SLICE_BITS], found[start:end]


def names_by_slice(
    slices: NDArray[np.int64], columns: WindowColumns
) -> Iterator[tuple[int, str, str, int]]:
    """Yield (slice, column, name, count) of all names."""
    for column, (rows, codes, names) in columns.names.items():
        unique, counts = np.unique(slices[rows] * len(names) + codes, return_counts=True)
        for owner_and_code, count in zip(unique.tolist(), counts.tolist(), strict=True):
            owner, code = divmod(owner_and_code, len(names))
            yield owner, column, names[code], count


def add_batch(
    sums: Sequence[WindowSums], slices: NDArray[np.int64], columns: WindowColumns
) -> None:
    """Add a batch to the sums of its slices; `slices` (n,) index into `sums`."""
    if not len(slices):
        return
    totals = sum_by_slice(slices, len(sums), columns)
    for target, total in zip(sums, totals, strict=True):
        target.vector += total
    for owner, column, counts in buckets_by_slice(slices, columns):
        sums[owner].add_buckets(column, counts)
    for owner, column, name, count in names_by_slice(slices, columns):
        sums[owner].add_name(column, name, count)
