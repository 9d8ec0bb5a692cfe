"""Adding window rows: partitions, windows, languages or workflows taken together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from understudy.analyzers.windows.exact_sum import ExactSum
from understudy.analyzers.windows.exact_sum import total as exact_total
from understudy.analyzers.windows.histogram import merge
from understudy.analyzers.windows.layout import MOST_NAMES, PLACES
from understudy.analyzers.windows.moments import LIMBS, join_limbs
from understudy.analyzers.windows.name_counts import most_frequent
from understudy.analyzers.windows.window_sums import WindowSums
from understudy.schemas.window_measures import (
    ControlSums,
    EventCounts,
    NoiseSums,
    PairSums,
    PairTurnSums,
    QualitySums,
    SideSums,
    SideTurnSums,
    UnresolvedCounts,
)
from understudy.schemas.windows import SECTIONS, WindowRow

Key = TypeVar("Key", bound=Hashable)
Sums = TypeVar("Sums", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class RowTotals:
    """The measures of several window rows taken together."""

    events: EventCounts = field(default_factory=EventCounts)
    stable: SideSums = field(default_factory=SideSums)
    candidate: SideSums = field(default_factory=SideSums)
    pair: PairSums = field(default_factory=PairSums)
    control: ControlSums = field(default_factory=ControlSums)
    turns: PairTurnSums = field(default_factory=PairTurnSums)
    stable_turns: SideTurnSums = field(default_factory=SideTurnSums)
    candidate_turns: SideTurnSums = field(default_factory=SideTurnSums)
    quality: QualitySums = field(default_factory=QualitySums)
    noise: NoiseSums = field(default_factory=NoiseSums)
    unresolved: UnresolvedCounts = field(default_factory=UnresolvedCounts)


def total(rows: Iterable[WindowRow | RowTotals]) -> RowTotals:
    """The sum of rows; of no rows, all zeros."""
    kept = list(rows)
    return RowTotals(
        **{name: _add(record, [getattr(row, name) for row in kept])
           for name, record in SECTIONS.items()}
    )  # fmt: skip


def total_by(rows: Iterable[WindowRow], key: Callable[[WindowRow], Key]) -> dict[Key, RowTotals]:
    """The sums of rows that share a key, in the order of first appearance."""
    groups: dict[Key, list[WindowRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {name: total(group) for name, group in groups.items()}


def over_windows(rows: Sequence[WindowRow]) -> list[WindowRow]:
    """The rows of each slice as one, with the place in time of its first."""
    first: dict[tuple[Any, ...], WindowRow] = {}
    for row in rows:
        first.setdefault(_slice_key(row), row)
    return [
        msgspec.structs.replace(first[key], **{name: getattr(totals, name) for name in SECTIONS})
        for key, totals in total_by(rows, _slice_key).items()
    ]


def _slice_key(row: WindowRow) -> tuple[Any, ...]:
    return row.rollout_id, row.mode, row.language, row.workflow, row.evaluator


_FIELDS: Final = [
    (section, name) for section, record in SECTIONS.items() for name in record.__struct_fields__
]
"""Every measure of a row, section by section."""
_PLACES: Final = range(len(_FIELDS))
_PLACE_OF: Final = {f"{section}_{name}": place for place, (section, name) in enumerate(_FIELDS)}


class RowSums:
    """The measures of rows that come one by one: what `total` says of them, without the rows."""

    def __init__(self) -> None:
        self._numbers = [0] * len(_FIELDS)
        self._fractions: dict[int, ExactSum] = {}
        self._maps: dict[int, dict[Any, int]] = {}

    def add(self, row: WindowRow) -> None:
        """Take a row; most of its measures are zero."""
        numbers = self._numbers
        values = [*chain.from_iterable(astuple(getattr(row, section)) for section in SECTIONS)]
        for place in compress(_PLACES, values):
            value = values[place]
            kind = type(value)
            if kind is int:
                numbers[place] += value
            elif kind is float:
                self._add_fractions(place, (value,))
            else:
                self._add_counts(place, value)

    def add_windows(self, windows: Sequence[WindowSums]) -> None:
        """Take windows before rows are drawn from them: the same as taking their rows."""
        vectors = np.array([one.vector for one in windows])
        sums: list[int] = vectors.sum(axis=0).tolist()
        some: list[int] = np.count_nonzero(vectors, axis=0).tolist()
        for slot, place, divisor, is_product in _NUMBERS:
            if is_product:
                if any(some[slot : slot + LIMBS]):
                    self._add_products(place, vectors[:, slot : slot + LIMBS], divisor)
            elif divisor == 1:
                self._numbers[place] += sums[slot]
            elif some[slot]:
                ticks = vectors[:, slot].tolist()
                self._add_fractions(place, [one / divisor for one in ticks if one])
        for one in windows:
            for column, histogram in one.histograms.items():
                self._add_counts(_PLACE_OF[column], histogram)
            for column, names in one.names.items():
                self._add_counts(_PLACE_OF[column], most_frequent(names, MOST_NAMES[column]))

    def _add_products(self, place: int, limbs: NDArray[np.int64], divisor: int) -> None:
        """Add sums of products (n, LIMBS), which together may not fit into 64 bits."""
        products = [join_limbs(*some) for some in limbs.tolist()]
        if divisor == 1:
            self._numbers[place] += sum(products)
        else:
            self._add_fractions(place, [one / divisor for one in products if one])

    def _add_fractions(self, place: int, values: Sequence[float]) -> None:
        if values:
            self._fractions.setdefault(place, ExactSum()).add(values)

    def _add_counts(self, place: int, more: Mapping[Any, int]) -> None:
        counts = self._maps.setdefault(place, {})
        for key, count in more.items():
            counts[key] = counts.get(key, 0) + count


_NUMBERS: Final = [
    (place.slot, _PLACE_OF[column], place.divisor, place.is_product)
    for column, place in PLACES.items()
]
"""Where numbers stand in a window's vector and among a row's fields."""


def total_of_sums(parts: Sequence[RowSums]) -> RowTotals:
    """The sum of all rows that the parts have taken; of none, all zeros."""
    numbers = map(sum, zip(*(part._numbers for part in parts), strict=True))
    found: dict[int, Any] = {place: number for place, number in enumerate(numbers) if number}
    for place in set(chain.from_iterable(part._maps for part in parts)):
        found[place] = merge(*(part._maps[place] for part in parts if place in part._maps))
    for place in set(chain.from_iterable(part._fractions for part in parts)):
        found[place] = exact_total(
            part._fractions[place] for part in parts if place in part._fractions
        )
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for place, value in found.items():
        section, name = _FIELDS[place]
        values[section][name] = value
    sections: dict[str, Any] = {name: of(**values[name]) for name, of in SECTIONS.items()}
    return RowTotals(**sections)


def latest(rows: Iterable[WindowRow]) -> list[WindowRow]:
    """Of rows with the same key, the one with the highest version."""
    newest: dict[tuple[Any, ...], WindowRow] = {}
    for row in rows:
        known = newest.get(key := row_key(row))
        if known is None or row.version >= known.version:
            newest[key] = row
    return list(newest.values())


def row_key(row: WindowRow) -> tuple[Any, ...]:
    """What makes two rows versions of one another."""
    return (
        row.rollout_id, row.mode, row.language, row.workflow,
        row.window_start, row.window_s, row.source, row.partition, row.evaluator,
        row.requests_from,
    )  # fmt: skip


def _add(record: type[Sums], parts: list[Sums]) -> Sums:
    values: dict[str, Any] = {}
    for name in record.__struct_fields__:
        column = [getattr(part, name) for part in parts]
        if column and isinstance(column[0], dict):
            values[name] = merge(*column)
        elif float in set(map(type, column)):
            values[name] = math.fsum(column)
        else:
            values[name] = sum(column) if column else None
    return record(**{name: value for name, value in values.items() if value is not None})
