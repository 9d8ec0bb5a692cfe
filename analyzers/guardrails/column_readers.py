"""The sums that a check takes from window rows, in columns, and the readers that take them.

Statistics are one float64 array (..., k), with the fields of `BinaryColumns`, `LimitColumns` or
`MeanColumns` along its last axis. They add up over rows, windows and partitions.

A reader reads twice: what the rows hold, and, apart, what their unresolved requests would add at
their worst for a rollback. Such requests wait for a side; who answers at once is known at once, so
without them the fast failures of one side would count before the slow ones of the other.

Requests that timed out without a duration count as slower than any limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.graded_columns import (
    GRADED_FIELDS,
    nothing_unresolved,
    quality_read,
)
from understudy.analyzers.guardrails.row_columns import (
    HISTOGRAMS,
    PLACES,
    HistogramColumn,
    RowColumns,
)
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.schemas.measure_kinds import (
    Category,
    Outcome,
    both_sides,
    only_candidate,
    only_stable,
)
from understudy.schemas.rollout_metrics import AGREEMENTS, EXCESSES, MEANS, METRICS, RATES, TIMES

NO_BUCKET: Final = np.iinfo(np.int32).min
"""Instead of a tail's bucket where it is not known yet: such a row is not read."""
_NOTHING: Final = np.zeros(1)


class BinaryColumns(NamedTuple):
    """A yes or no on both sides: paired requests first, separate arms after them.

    What cannot be told is counted against either verdict: a latency threshold lies between two
    buckets, and a stable side that never came counts as bad for rollback and as good for promotion.
    Elsewhere the counts of the two directions are equal.
    """

    pairs: FloatArray = _NOTHING
    stable_only_rollback: FloatArray = _NOTHING
    """Pairs that are bad on stable's side alone."""
    candidate_only_rollback: FloatArray = _NOTHING
    both_rollback: FloatArray = _NOTHING
    stable_only_promotion: FloatArray = _NOTHING
    candidate_only_promotion: FloatArray = _NOTHING
    both_promotion: FloatArray = _NOTHING
    candidate_units: FloatArray = _NOTHING
    candidate_bad_rollback: FloatArray = _NOTHING
    candidate_bad_promotion: FloatArray = _NOTHING
    stable_units: FloatArray = _NOTHING
    stable_bad_rollback: FloatArray = _NOTHING
    stable_bad_promotion: FloatArray = _NOTHING


class LimitColumns(NamedTuple):
    """A yes or no on the candidate's side alone; see `BinaryColumns` on the two directions."""

    units: FloatArray = _NOTHING
    bad_rollback: FloatArray = _NOTHING
    bad_promotion: FloatArray = _NOTHING


class MeanColumns(NamedTuple):
    """Sums, squares and products in natural units: paired requests, then separate arms."""

    pairs: FloatArray = _NOTHING
    paired_candidate: FloatArray = _NOTHING
    paired_stable: FloatArray = _NOTHING
    paired_candidate_squares: FloatArray = _NOTHING
    paired_products: FloatArray = _NOTHING
    paired_stable_squares: FloatArray = _NOTHING
    candidate_units: FloatArray = _NOTHING
    candidate_total: FloatArray = _NOTHING
    candidate_squares: FloatArray = _NOTHING
    stable_units: FloatArray = _NOTHING
    stable_total: FloatArray = _NOTHING
    stable_squares: FloatArray = _NOTHING


GradedColumns = tuple[FloatArray, ...]
"""One array for each of `GRADED_FIELDS`."""
AnyColumns = BinaryColumns | LimitColumns | MeanColumns | GradedColumns
Read = Callable[[RowColumns], AnyColumns]


def stacked(columns: AnyColumns, shape: tuple[int, ...]) -> FloatArray:
    """Return the fields along a new last axis, each broadcast to a shape."""
    result = np.empty((*shape, len(columns)))
    for place, column in enumerate(columns):
        result[..., place] = column
    return result


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the statistics of rows, (n, k)."""

    fields: tuple[str, ...]
    _held: Read
    _unresolved: Read

    def read(self, columns: RowColumns) -> FloatArray:
        """What rows hold. Raises ValueError for counts that cannot be."""
        statistics = self._held(columns)
        _refuse_impossible(statistics)
        return stacked(statistics, (columns.n,))

    def read_anything(self, columns: RowColumns) -> FloatArray:
        """The same, also of counts that cannot be."""
        return stacked(self._held(columns), (columns.n,))

    @property
    def is_linear(self) -> bool:
        """Whether it adds up columns; those that read histograms do not."""
        return not self.names() & HISTOGRAMS

    def unresolved(self, columns: RowColumns) -> FloatArray:
        """What their unresolved requests would add at their worst for a rollback.

        It takes the gauges of `unresolved` alone and is linear in them, so gauges may be added up
        before.
        """
        return stacked(self._unresolved(columns), (columns.n,))

    def names(self, *, paired: Iterable[bool] = (True, False)) -> frozenset[str]:
        """The columns that `read` needs for rows of paired modes, of others, or of both."""
        found: set[str] = set()
        for is_paired in paired:
            recorder = NameRecorder(is_paired=is_paired)
            self.read(recorder)
            found |= recorder.names
        return frozenset(found)

    def gauge_names(self) -> frozenset[str]:
        """The columns that `unresolved` needs."""
        recorder = NameRecorder(is_paired=True)
        self.unresolved(recorder)
        return frozenset(recorder.names)


class NameRecorder(RowColumns):
    """One row of nothing that notes which columns are asked for."""

    def __init__(self, *, is_paired: bool) -> None:
        super().__init__(np.array([is_paired]), {})
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> FloatArray:
        self.names.add(name)
        return np.zeros(1)

    def histogram(self, name: str) -> HistogramColumn:
        self.names.add(name)
        return HistogramColumn.of([{}])

    def is_by(self, evaluator: str) -> BoolArray:
        return np.ones(1, dtype=np.bool_)


BAD_AMONG: Final[Mapping[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]] = {
    LimitColumns._fields: (("units", ("bad_rollback",)), ("units", ("bad_promotion",))),
    BinaryColumns._fields: (
        ("pairs", ("stable_only_rollback", "candidate_only_rollback", "both_rollback")),
        ("pairs", ("stable_only_promotion", "candidate_only_promotion", "both_promotion")),
        ("candidate_units", ("candidate_bad_rollback",)),
        ("candidate_units", ("candidate_bad_promotion",)),
        ("stable_units", ("stable_bad_rollback",)),
        ("stable_units", ("stable_bad_promotion",)),
    ),
}
"""By fields, units and the bad ones that are among them."""


def _refuse_impossible(statistics: AnyColumns) -> None:
    """Raise ValueError where more are bad than there are."""
    if not isinstance(statistics, BinaryColumns | LimitColumns):
        return
    for units_field, bad_fields in BAD_AMONG[statistics._fields]:
        units: FloatArray = getattr(statistics, units_field)
        parts: list[FloatArray] = [getattr(statistics, name) for name in bad_fields]
        # Most readers leave the other half of the fields at nothing.
        if units is _NOTHING and all(one is _NOTHING for one in parts):
            continue
        bad = sum(parts[1:], start=parts[0])
        if ((bad < 0.0) | (bad > units)).any():
            raise ImpossibleCounts


class ImpossibleCounts(ValueError):
    """A row counts more bad units than units."""

    def __init__(self) -> None:
        super().__init__("a window row counts more bad units than units")


def _by_mode(paired: Read, arms: Read) -> Read:
    """Read rows of paired modes one way, others another way."""

    def read(columns: RowColumns) -> AnyColumns:
        is_paired = columns.is_paired
        if is_paired.all():
            return paired(columns)
        if not is_paired.any():
            return arms(columns)
        both = zip(paired(columns), arms(columns), strict=True)
        chosen = (np.where(is_paired, one, other) for one, other in both)
        return type(paired(columns))(*chosen)

    return read


# Yes or no


class _Bad(NamedTuple):
    """Units and the bad ones among them."""

    units: FloatArray
    bad: FloatArray


def _bad(columns: RowColumns, section: str, rate: Outcome | Category, true_is_bad: bool) -> _Bad:
    units = columns[f"{section}_{rate.among}"]
    true_units = columns[f"{section}_{rate.success}"]
    return _Bad(units, true_units if true_is_bad else units - true_units)


def rate_reader(metric: str) -> Reader:
    """Return the reader of a rate on both sides: discordant pairs, or separate arms."""
    rate, true_is_bad = RATES[metric], not METRICS[metric].higher_is_better

    def arms(columns: RowColumns) -> BinaryColumns:
        candidate = _bad(columns, "candidate", rate, true_is_bad)
        return _two_arms(candidate, _bad(columns, "stable", rate, true_is_bad))

    if not rate.paired_among:
        return Reader(BinaryColumns._fields, arms, _worst_arms)

    def paired(columns: RowColumns) -> BinaryColumns:
        joint = _joint(columns, rate, true_is_bad)
        return _with_lost(joint, columns) if metric == COUNTS_LOST else joint

    return Reader(BinaryColumns._fields, _by_mode(paired, arms), _worst_pairs(rate, true_is_bad))


COUNTS_LOST: Final = "error_rate"
"""The rate to which a side that never came belongs: it is that side's failure."""


def _joint(columns: RowColumns, rate: Outcome | Category, true_is_bad: bool) -> BinaryColumns:
    """Pairs by who is bad."""
    pairs = columns[f"pair_{rate.paired_among}"]
    stable_only = columns[f"pair_{only_stable(rate.joint)}"]
    candidate_only = columns[f"pair_{only_candidate(rate.joint)}"]
    both = columns[f"pair_{both_sides(rate.joint)}"]
    if not true_is_bad:  # true on one side only is bad on the other one
        stable_only, candidate_only = candidate_only, stable_only
        both = pairs - stable_only - candidate_only - both
    return _pairs(pairs, stable_only, candidate_only, both)


def _pairs(
    pairs: FloatArray, stable_only: FloatArray, candidate_only: FloatArray, both: FloatArray
) -> BinaryColumns:
    """Pairs that count alike in both directions."""
    return BinaryColumns(
        pairs, stable_only, candidate_only, both, stable_only, candidate_only, both
    )


def _with_lost(joint: BinaryColumns, columns: RowColumns) -> BinaryColumns:
    """Add the requests of which one side never came.

    A lost candidate side is bad. A lost stable side is bad for rollback and good for promotion, so
    that it hides nothing.
    """
    lost_stable, candidate_bad = (
        columns["pair_lost_stable"],
        columns["pair_lost_stable_candidate_errors"],
    )
    lost_candidate, stable_bad = (
        columns["pair_lost_candidate"],
        columns["pair_lost_candidate_stable_errors"],
    )
    alone, both = lost_candidate - stable_bad, stable_bad
    return joint._replace(
        pairs=joint.pairs + lost_stable + lost_candidate,
        stable_only_rollback=joint.stable_only_rollback + lost_stable - candidate_bad,
        candidate_only_rollback=joint.candidate_only_rollback + alone,
        both_rollback=joint.both_rollback + both + candidate_bad,
        candidate_only_promotion=joint.candidate_only_promotion + alone + candidate_bad,
        both_promotion=joint.both_promotion + both,
    )


def _two_arms(candidate: _Bad, stable: _Bad) -> BinaryColumns:
    """Separate arms that count alike in both directions."""
    return BinaryColumns(
        candidate_units=candidate.units,
        candidate_bad_rollback=candidate.bad,
        candidate_bad_promotion=candidate.bad,
        stable_units=stable.units,
        stable_bad_rollback=stable.bad,
        stable_bad_promotion=stable.bad,
    )


def rate_limit_reader(metric: str) -> Reader:
    """Return the reader of a rate of the candidate alone."""
    rate, true_is_bad = RATES[metric], not METRICS[metric].higher_is_better

    def arm(columns: RowColumns) -> LimitColumns:
        return _limit(*_bad(columns, "candidate", rate, true_is_bad))

    if metric != COUNTS_LOST:
        return Reader(LimitColumns._fields, arm, _worst_limit(rate, true_is_bad))

    def paired(columns: RowColumns) -> LimitColumns:
        units, bad = _bad(columns, "candidate", rate, true_is_bad)
        lost_candidate = columns["pair_lost_candidate"]
        return _limit(
            units + columns["pair_lost_stable"] + lost_candidate,
            bad + columns["pair_lost_stable_candidate_errors"] + lost_candidate,
        )

    return Reader(LimitColumns._fields, _by_mode(paired, arm), _worst_limit(rate, true_is_bad))


def stable_rate_reader(metric: str) -> Reader:
    """Return the reader of a rate of stable alone."""
    rate, true_is_bad = RATES[metric], not METRICS[metric].higher_is_better

    def arm(columns: RowColumns) -> LimitColumns:
        return _limit(*_bad(columns, "stable", rate, true_is_bad))

    if metric != COUNTS_LOST:
        return Reader(LimitColumns._fields, arm, _all_good)

    def paired(columns: RowColumns) -> LimitColumns:
        units, bad = _bad(columns, "stable", rate, true_is_bad)
        lost_stable = columns["pair_lost_stable"]
        return _limit(
            units + columns["pair_lost_candidate"] + lost_stable,
            bad + columns["pair_lost_candidate_stable_errors"] + lost_stable,
        )

    return Reader(LimitColumns._fields, _by_mode(paired, arm), _all_good)


def _limit(units: FloatArray, bad: FloatArray) -> LimitColumns:
    return LimitColumns(units, bad, bad)


def agreement_reader(metric: str) -> Reader:
    """Return the reader of how often the candidate differs from stable, and stable from itself."""
    agreement = AGREEMENTS[metric]

    def read(columns: RowColumns) -> BinaryColumns:
        changed = _bad(columns, "pair", agreement, False)
        return _two_arms(changed, _bad(columns, "control", agreement, False))

    def worst(columns: RowColumns) -> BinaryColumns:
        return BinaryColumns(candidate_units=_awaiting(columns))

    return Reader(BinaryColumns._fields, read, worst)


def agreement_limit_reader(metric: str) -> Reader:
    """Return the reader of how often the candidate differs from stable."""
    agreement = AGREEMENTS[metric]
    return Reader(
        LimitColumns._fields,
        lambda columns: _limit(*_bad(columns, "pair", agreement, False)),
        _all_good,
    )


# Sides that never came


def unmatched_reader() -> Reader:
    """Return the reader of how many requests lack a side, among all that should have both."""

    def paired(columns: RowColumns) -> LimitColumns:
        unmatched = columns["events_unmatched_stable"] + columns["events_unmatched_candidate"]
        return _limit(columns["pair_pairs"] + unmatched, unmatched)

    return Reader(LimitColumns._fields, _by_mode(paired, lambda columns: LimitColumns()), _all_good)


def lost_reader() -> Reader:
    """Return the reader of which side never came, among all requests that should have both."""

    def paired(columns: RowColumns) -> BinaryColumns:
        stable, candidate = columns["pair_lost_stable"], columns["pair_lost_candidate"]
        return _pairs(columns["pair_pairs"] + stable + candidate, stable, candidate, _NOTHING)

    def worst(columns: RowColumns) -> BinaryColumns:
        return _worst(_awaiting(columns), columns["unresolved_awaiting_stable"], _NOTHING)

    held = _by_mode(paired, lambda columns: BinaryColumns())
    return Reader(BinaryColumns._fields, held, worst)


def lost_limit_reader() -> Reader:
    """Return the reader of how often the candidate's side never came."""

    def paired(columns: RowColumns) -> LimitColumns:
        lost = columns["pair_lost_candidate"]
        return _limit(columns["pair_pairs"] + columns["pair_lost_stable"] + lost, lost)

    return Reader(LimitColumns._fields, _by_mode(paired, lambda columns: LimitColumns()), _all_good)


# Unresolved requests at their worst


def _awaiting(columns: RowColumns) -> FloatArray:
    """Requests that wait for a side."""
    return columns["unresolved_awaiting_stable"] + columns["unresolved_awaiting_candidate"]


def _known_bad(
    columns: RowColumns, rate: Outcome | Category, true_is_bad: bool
) -> tuple[FloatArray, FloatArray] | None:
    """Bad ones among those that await stable and that await the candidate.

    The side that has come is the bad one. None where an outcome is not read from events alone.
    """
    names = [f"unresolved_awaiting_{side}_{rate.success}" for side in ("stable", "candidate")]
    if not true_is_bad or not all(name in PLACES for name in names):
        return None
    return columns[names[0]], columns[names[1]]


def _worst_pairs(rate: Outcome | Category, true_is_bad: bool) -> Read:
    """A side that is awaited is as good for the candidate as what is known allows."""

    def read(columns: RowColumns) -> BinaryColumns:
        known = _known_bad(columns, rate, true_is_bad)
        if known is None:
            return _worst(_awaiting(columns), _awaiting(columns), _NOTHING)
        candidate_bad, stable_bad = known
        stable_only = columns["unresolved_awaiting_stable"] - candidate_bad + stable_bad
        return _worst(_awaiting(columns), stable_only, candidate_bad)

    return read


def _worst(pairs: FloatArray, stable_only: FloatArray, both: FloatArray) -> BinaryColumns:
    return BinaryColumns(pairs=pairs, stable_only_rollback=stable_only, both_rollback=both)


def _worst_arms(columns: RowColumns) -> BinaryColumns:
    """Each request that waits is good on the candidate's side and bad on stable's."""
    awaiting = _awaiting(columns)
    return BinaryColumns(
        candidate_units=awaiting, stable_units=awaiting, stable_bad_rollback=awaiting
    )


def _worst_limit(rate: Outcome | Category, true_is_bad: bool) -> Read:
    """A candidate that is awaited is good; one that has come is what it is, where that is known."""

    def read(columns: RowColumns) -> LimitColumns:
        known = _known_bad(columns, rate, true_is_bad)
        return LimitColumns(_awaiting(columns), _NOTHING if known is None else known[0])

    return read


def _all_good(columns: RowColumns) -> LimitColumns:
    return LimitColumns(_awaiting(columns))


def _nothing(columns: RowColumns) -> MeanColumns:
    """A mean has no worst: who asks counts windows without unresolved requests alone."""
    return MeanColumns()


# Times


def times(columns: RowColumns, measure: str, side: str) -> tuple[HistogramColumn, FloatArray]:
    """Return a measure's histograms and the numbers of timeouts that are not in them."""
    time = TIMES[measure]
    histogram = columns.histogram(f"{side}_{time.name}_histogram")
    if not time.slow_when_timed_out:
        return histogram, np.zeros(columns.n)
    without = columns[f"{side}_requests"] - columns[f"{side}_{time.name}_count"]
    return histogram, np.minimum(columns[f"{side}_timeouts"], without).clip(0.0)


def time_limit_reader(measure: str, rollback_bucket: int, promotion_bucket: int) -> Reader:
    """Return the reader of how often the candidate exceeds a limit, rounded for each direction."""

    def read(columns: RowColumns) -> LimitColumns:
        histogram, timeouts = times(columns, measure, "candidate")
        return LimitColumns(
            histogram.total() + timeouts,
            histogram.above(rollback_bucket) + timeouts,
            histogram.above(promotion_bucket) + timeouts,
        )

    return Reader(LimitColumns._fields, read, _all_good)


@dataclass(frozen=True, slots=True)
class TailReader:
    """Reads how often each side exceeds its threshold, as separate arms, (n, k)."""

    measure: str
    fields: tuple[str, ...] = BinaryColumns._fields

    def read(
        self,
        columns: RowColumns,
        stable_bucket: int | IntArray,
        rollback_bucket: int | IntArray,
        promotion_bucket: int | IntArray,
    ) -> FloatArray:
        """Of rows, each with buckets of its own or all with the same; see `read_each`."""
        parts = (stable_bucket, rollback_bucket, promotion_bucket)
        buckets = np.stack([np.broadcast_to(part, columns.n) for part in parts], axis=-1)
        return self.read_each(columns, buckets[:, None])[:, 0]

    def read_each(self, columns: RowColumns, buckets: IntArray) -> FloatArray:
        """Return how often rows exceed each of m thresholds, (n, m, k).

        Their buckets (n, m, 3) are those of stable, and of the candidate for rollback and for
        promotion. Where stable's is `NO_BUCKET` it is nothing.
        """
        candidate, slow = times(columns, self.measure, "candidate")
        stable, stable_slow = times(columns, self.measure, "stable")
        n_each = buckets.shape[1]
        by_direction = np.concatenate([buckets[..., 1], buckets[..., 2]], axis=1)
        of_candidate = candidate.above_each(by_direction) + slow[:, None]
        of_stable = stable.above_each(buckets[..., 0]) + stable_slow[:, None]
        units = candidate.total() + slow, stable.total() + stable_slow
        for bad, of_side in zip((of_candidate, of_stable), units, strict=True):
            if ((bad < 0.0) | (bad > of_side[:, None])).any():
                raise ImpossibleCounts
        statistics = BinaryColumns(
            candidate_units=units[0][:, None],
            candidate_bad_rollback=of_candidate[:, :n_each],
            candidate_bad_promotion=of_candidate[:, n_each:],
            stable_units=units[1][:, None],
            stable_bad_rollback=of_stable,
            stable_bad_promotion=of_stable,
        )
        result = stacked(statistics, (columns.n, n_each))
        result[buckets[..., 0] == NO_BUCKET] = 0.0
        return result

    def unresolved(self, columns: RowColumns, stable_bucket: int | IntArray) -> FloatArray:
        """What unresolved requests would add at their worst for a rollback; see `Reader`."""
        result = stacked(_worst_arms(columns), (columns.n,))
        result[_unknown(stable_bucket, columns.n)] = 0.0
        return result

    def names(self) -> frozenset[str]:
        """The columns that `read` needs."""
        recorder = NameRecorder(is_paired=True)
        self.read(recorder, 0, 0, 0)
        return frozenset(recorder.names)

    def gauge_names(self) -> frozenset[str]:
        """The columns that `unresolved` needs."""
        recorder = NameRecorder(is_paired=True)
        self.unresolved(recorder, 0)
        return frozenset(recorder.names)


def _unknown(bucket: int | IntArray, n: int) -> BoolArray:
    if isinstance(bucket, np.ndarray):
        return np.asarray(bucket == NO_BUCKET)
    return np.full(n, bucket == NO_BUCKET)


# Means


_SIDE_PARTS: Final = ("count", "sum", "squares")
_PAIR_PARTS: Final = (
    "count", "candidate_sum", "stable_sum", "candidate_squares", "products", "stable_squares"
)  # fmt: skip


def mean_reader(metric: str, free: Collection[str] = ()) -> Reader:
    """Return the reader of a mean on both sides: pairs, or separate arms.

    Where a 0 is a value of one of the sides (`free`), the sides are separate arms in every mode,
    since windows add up no products with what is no value in general.
    """
    name = MEANS[metric].name

    def paired(columns: RowColumns) -> MeanColumns:
        return MeanColumns(*(columns[f"pair_{name}_{part}"] for part in _PAIR_PARTS))

    def arms(columns: RowColumns) -> MeanColumns:
        return _mean_arms(
            *(_own_mean(columns, side, metric, free) for side in ("candidate", "stable"))
        )

    read = arms if has_zeros(metric, free) else _by_mode(paired, arms)
    return Reader(MeanColumns._fields, read, _nothing)


def has_zeros(metric: str, free: Collection[str]) -> bool:
    """Whether a 0 is a value of one of the sides, where it is none in general."""
    return bool(free and MEANS[metric].zeros)


def _own_mean(
    columns: RowColumns, side: str, metric: str, free: Collection[str]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Units, sum and squares of one side's values, with those that are 0 where it is free."""
    measure = MEANS[metric]
    units, total, squares = (columns[f"{side}_{measure.name}_{part}"] for part in _SIDE_PARTS)
    if measure.zeros and side in free:
        units = units + columns[f"{side}_{measure.zeros}"]
    return units, total, squares


def mean_limit_reader(metric: str, free: Collection[str] = ()) -> Reader:
    """Return the reader of the candidate's own mean, as pairs of which stable's value is 0."""

    def read(columns: RowColumns) -> MeanColumns:
        units, total, squares = _own_mean(columns, "candidate", metric, free)
        return MeanColumns(units, total, paired_candidate_squares=squares)

    return Reader(MeanColumns._fields, read, _nothing)


def quality_reader(metric: str, evaluator: str) -> Reader:
    """Return the reader of what one evaluator says of both answers."""
    return Reader(GRADED_FIELDS, quality_read(metric, evaluator), nothing_unresolved)


def excess_reader(metric: str) -> Reader:
    """Return the reader of how far pairs differ: the candidate from stable, stable from itself.

    Only pairs count towards either arm. A bin stands for its middle, and equal texts for 0.
    """
    name = f"{EXCESSES[metric].name}_histogram"

    def read(columns: RowColumns) -> MeanColumns:
        candidate, stable = columns.histogram(f"pair_{name}"), columns.histogram(f"control_{name}")
        return _mean_arms(_disagreement(candidate), _disagreement(stable))

    return Reader(MeanColumns._fields, read, _nothing)


def _mean_arms(candidate: Iterable[FloatArray], stable: Iterable[FloatArray]) -> MeanColumns:
    return MeanColumns(*([_NOTHING] * len(_PAIR_PARTS)), *candidate, *stable)


def _disagreement(histogram: HistogramColumn) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Units, sum and squares of 1 - similarity."""
    values = np.maximum(0.0, 199.0 - 2.0 * histogram.buckets) / 200.0
    return histogram.total(), histogram.weighted(values), histogram.weighted(values**2)
