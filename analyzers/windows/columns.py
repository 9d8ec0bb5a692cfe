"""From measures to the numbers that a window adds up: one array per column of the layout.

`numbers` maps a column to an array (n,) of integers or truth values: counts as they are, totals in
ticks, products as (3, n) parts. `buckets` maps a histogram to (rows, buckets), `names` a map of
names to (rows, indices, names). What becomes of a measure is said by its kind alone, see
`understudy.schemas.measure_kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Bytes, Floats, Ints
from understudy.analyzers.compare.measure_arrays import (
    ControlMeasures,
    PairMeasures,
    SideMeasures,
)
from understudy.analyzers.compare.ratios import comparable, ratio
from understudy.analyzers.windows.histogram import SMALLEST_VALUE, hundredths, log_bucket
from understudy.analyzers.windows.moments import Ticks, product_limbs, to_ticks
from understudy.schemas.measure_kinds import (
    LN_TICK,
    Category,
    Distribution,
    HistogramScale,
    Label,
    Measure,
    Number,
    Outcome,
    Sum,
    both_sides,
    only_candidate,
    only_stable,
)
from understudy.schemas.measures import CONTROL, FEEDBACK_POSITIVE, FEEDBACK_SCORE, PAIR, SIDE

POSITIVE_SCORE: Final = 0.5
"""A user's score from here on counts as satisfied: thumbs up is 1, the middle of five stars 0.5."""

_BUCKETS: Final[dict[HistogramScale, Callable[[Floats], Ints]]] = {
    HistogramScale.LOGARITHMIC: log_bucket,
    HistogramScale.HUNDREDTHS: hundredths,
}


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """What n compared rows add to their windows."""

    _numbers: dict[str, Bools | Ints] = field(default_factory=dict)
    _factors: dict[str, tuple[Ticks, Ticks]] = field(default_factory=dict)
    """Of products that nobody has asked for yet."""
    buckets: dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]] = field(default_factory=dict)
    names: dict[str, tuple[NDArray[np.intp], NDArray[np.int64], list[str]]] = field(
        default_factory=dict
    )

    @property
    def numbers(self) -> dict[str, Bools | Ints]:
        """The columns that are added up, products in parts (3, n)."""
        if self._factors:
            left, right = map(np.array, zip(*self._factors.values(), strict=True))
            limbs = np.array(product_limbs(left, right))
            self._numbers.update(zip(self._factors, limbs.swapaxes(0, 1), strict=True))
            self._factors.clear()
        return self._numbers

    def count(self, column: str, values: Bools | Ints) -> None:
        """Add a column of whole numbers (n,), or of what is counted where it holds."""
        self._numbers[column] = values

    def total(self, column: str, ticks: Ticks) -> None:
        """Add a column of values in ticks (n,)."""
        self._numbers[column] = ticks

    def product(self, column: str, left: Ticks, right: Ticks) -> None:
        """Add a column of products of ticks (n,), made when all of them are there."""
        self._factors[column] = left, right

    def parts(self, column: str, limbs: Ints) -> None:
        """Add a column of sums of products in parts (3, n)."""
        self._numbers[column] = limbs

    def spread(self, column: str, values: Floats, known: Bools, scale: HistogramScale) -> None:
        """Add the known values (n,) to a histogram."""
        rows = np.flatnonzero(known)
        self.buckets[column] = (rows, _BUCKETS[scale](values[rows]))

    def names_of(self, column: str, values: list[list[str]]) -> None:
        """Add a column of lists of names (n,), most of which are empty."""
        present = [(row, some) for row, some in enumerate(values) if some]
        rows = [row for row, some in present for _ in some]
        self.name(column, [name for _, some in present for name in some])
        kept, codes, index = self.names[column]
        self.names[column] = (np.array(rows, dtype=np.intp)[kept], codes, index)

    def name(self, column: str, values: list[str]) -> None:
        """Add a column of names (n,), of which the empty ones are unknown."""
        index = {name: number for number, name in enumerate(dict.fromkeys(values))}
        if len(index) == 1:
            codes = np.zeros(len(values), dtype=np.int64)
        else:
            codes = np.array([index[name] for name in values], dtype=np.int64)
        rows = np.flatnonzero(codes != index.get("", -1))
        self.names[column] = (rows, codes[rows], list(index))


def side_columns(section: str, side: SideMeasures, into: WindowColumns) -> None:
    """Add one side's measures under `stable_` or `candidate_`."""
    into.count(f"{section}_requests", _ones(len(side)))
    for measure in SIDE:
        _add(section, measure, getattr(side, measure.name), into)


def feedback_columns(section: str, scores: Floats, into: WindowColumns) -> None:
    """Add what users thought of one side's answers; `scores` (n,) in [0, 1]."""
    _add(section, FEEDBACK_SCORE, scores, into)
    _add(section, FEEDBACK_POSITIVE, scores >= POSITIVE_SCORE, into)


def pair_columns(
    stable: SideMeasures, candidate: SideMeasures, pair: PairMeasures, into: WindowColumns
) -> None:
    """Add how n pairs differ, under `pair_`."""
    into.count("pair_pairs", _ones(len(pair)))
    for measure in PAIR:
        _add("pair", measure, getattr(pair, measure.name), into)
    units = _units_of_pairs(stable, candidate, pair)
    for name, known in units.items():
        if name not in _PAIR_COUNTS:
            into.count(f"pair_{name}", known)
    for one in compared_outcomes(stable, candidate, pair, units):
        if isinstance(one.measure, Category):
            into.count(f"pair_{one.measure.paired_among}", one.known)
        _add_joint(one.measure.joint, one.stable, one.candidate, one.known, into)
    for measure in SIDE:
        if isinstance(measure, Distribution):
            left, right = getattr(stable, measure.name), getattr(candidate, measure.name)
            _add_ratio(measure, left, right, pair.answered, into)
            _add_products(measure, left, right, pair.answered, into)


_PAIR_COUNTS: Final = ("pairs", "answered", "texts")
"""Units of pairs that are counted as pairs or as a measure of their own."""


def _units_of_pairs(
    stable: SideMeasures, candidate: SideMeasures, pair: PairMeasures
) -> dict[str, Bools]:
    """By name of their count, of which pairs an outcome of both sides may be known."""
    units = {
        "pairs": np.ones(len(pair), dtype=bool),
        "answered": pair.answered,
        "texts": pair.texts,
    }
    for one in SIDE:
        if isinstance(one, Outcome) and one.known_both:
            both = getattr(stable, one.name) & getattr(candidate, one.name)
            units[one.known_both] = both & units[one.known_among]
    return units


class ComparedOutcome(NamedTuple):
    """Whether the sides of n pairs have an outcome, and of which pairs this is known."""

    measure: Outcome | Category
    stable: Bools
    candidate: Bools
    known: Bools


def compared_outcomes(
    stable: SideMeasures,
    candidate: SideMeasures,
    pair: PairMeasures,
    units: Mapping[str, Bools] | None = None,
) -> Iterator[ComparedOutcome]:
    """Yield the outcomes of n pairs in which their sides are compared."""
    units = units or _units_of_pairs(stable, candidate, pair)
    for one in SIDE:
        left, right = getattr(stable, one.name), getattr(candidate, one.name)
        match one:
            case Outcome(paired_among=among) if among:
                yield ComparedOutcome(one, left, right, units[among])
            case Category() if one.known:
                known = pair.answered & (left != one.absent) & (right != one.absent)
                yield ComparedOutcome(one, left == one.passing, right == one.passing, known)


class OwnOutcome(NamedTuple):
    """Whether n sides have an outcome, and of which this is known."""

    measure: Outcome | Category
    happened: Bools
    known: Bools


def own_outcomes(side: SideMeasures) -> Iterator[OwnOutcome]:
    """Yield the outcomes of n sides of which a rate can be told."""
    units = {"requests": np.ones(len(side), dtype=bool)}
    units |= {one.success: getattr(side, one.name) for one in SIDE if isinstance(one, Outcome)}
    for one in SIDE:
        values = getattr(side, one.name)
        match one:
            case Outcome():
                yield OwnOutcome(one, values, units[one.among])
            case Category() if one.known:
                yield OwnOutcome(one, values == one.passing, values != one.absent)


def control_columns(control: ControlMeasures, into: WindowColumns) -> None:
    """Add how stable differs from its second run, under `control_`."""
    into.count("control_pairs", _ones(len(control)))
    for measure in CONTROL:
        _add("control", measure, getattr(control, measure.name), into)


def _ones(n: int) -> Ints:
    return np.ones(n, dtype=np.int64)


def _add(section: str, measure: Measure, values: Any, into: WindowColumns) -> None:
    """Add the sums of one measure, given its array (n,)."""
    match measure:
        case Label(names=Sum(name=name), array_type="list[str]"):
            into.name(f"{section}_{name}", values)
        case Label(names=Sum(name=name)):
            into.names_of(f"{section}_{name}", values)
        case Outcome():
            into.count(f"{section}_{measure.success}", values)
        case Number():
            _add_number(section, measure, values, into)
        case Category():
            _add_category(section, measure, values, into)
        case Distribution():
            _add_distribution(section, measure, values_of(values), into)


def _add_number(section: str, measure: Number, values: Ints, into: WindowColumns) -> None:
    if measure.total is not None:
        into.count(f"{section}_{measure.total.name}", values - measure.least)
    if measure.above_least is not None:
        into.count(f"{section}_{measure.above_least.name}", values > measure.least)


def _add_category(section: str, measure: Category, values: Bytes, into: WindowColumns) -> None:
    if measure.known:
        into.count(f"{section}_{measure.known}", values != measure.absent)
        into.count(f"{section}_{measure.success}", values == measure.passing)
    for state, one in measure.failures:
        into.count(f"{section}_{one.name}", values == state)


def _add_distribution(
    section: str, measure: Distribution, values: Floats, into: WindowColumns
) -> None:
    column = f"{section}_{measure.name}"
    known = ~np.isnan(values)
    ticks = to_ticks(values, measure.tick)
    into.total(f"{column}_sum", ticks)
    if measure.counted:
        into.count(f"{column}_count", known)
    if measure.squares:
        into.product(f"{column}_squares", ticks, ticks)
    if measure.logarithms:
        _add_logarithms(f"{column}_ln", np.log(np.maximum(values, SMALLEST_VALUE)), into)
    if measure.histogram:
        into.spread(f"{column}_histogram", values, known, measure.histogram)


def _add_logarithms(column: str, logarithms: Floats, into: WindowColumns) -> None:
    ticks = to_ticks(logarithms, LN_TICK)
    into.total(f"{column}_sum", ticks)
    into.product(f"{column}_squares", ticks, ticks)


def values_of(values: Floats | Ints) -> Floats:
    """Measured values (n,) as floats with NaN; of whole numbers −1 is unknown."""
    if values.dtype.kind == "f":
        return values  # type: ignore[return-value]
    return np.where(values >= 0, values, np.nan)


def _add_joint(name: str, left: Bools, right: Bools, among: Bools, into: WindowColumns) -> None:
    """Count the pairs in which an outcome holds on one side only, and on both."""
    into.count(f"pair_{only_stable(name)}", left & ~right & among)
    into.count(f"pair_{only_candidate(name)}", right & ~left & among)
    into.count(f"pair_{both_sides(name)}", left & right & among)


def _add_ratio(
    measure: Distribution, left: Floats, right: Floats, answered: Bools, into: WindowColumns
) -> None:
    if not measure.ratio:
        return
    column = f"pair_{measure.ratio}"
    known = comparable(left, right, answered)
    ratios = np.where(known, ratio(left, right), np.nan)
    into.count(f"{column}_count", known)
    _add_logarithms(f"{column}_ln", np.log(ratios), into)
    into.spread(f"{column}_histogram", ratios, known, HistogramScale.LOGARITHMIC)


def _add_products(
    measure: Distribution,
    left: Floats | Ints,
    right: Floats | Ints,
    answered: Bools,
    into: WindowColumns,
) -> None:
    if not measure.products:
        return
    column = f"pair_{measure.name}"
    stable, candidate = values_of(left), values_of(right)
    known = answered & ~np.isnan(stable) & ~np.isnan(candidate)
    into.count(f"{column}_count", known)
    ticks = [to_ticks(np.where(known, some, 0.0), measure.tick) for some in (stable, candidate)]
    for side, some in zip(("stable", "candidate"), ticks, strict=True):
        into.total(f"{column}_{side}_sum", some)
        into.product(f"{column}_{side}_squares", some, some)
    into.product(f"{column}_products", *ticks)
