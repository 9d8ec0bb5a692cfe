"""The sums that a check takes from a window row, and the readers that take them.

There is one record for each kind of test: `BinaryStatistics`, `LimitStatistics`, `MeanStatistics`.
Their fields are whole numbers that add up, so differences of two versions of a row and sums over
rows are records of the same kind. Requests that timed out without a duration count as slower than
any limit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

import msgspec
from msgspec.structs import astuple

from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.measure_kinds import (
    Category,
    Distribution,
    Outcome,
    both_sides,
    only_candidate,
    only_stable,
)
from understudy.schemas.rollout_metrics import AGREEMENTS, EXCESSES, MEANS, METRICS, RATES, TIMES
from understudy.schemas.window_measures import ControlSums, PairSums, SideSums
from understudy.schemas.windows import WindowRow

TICKS: Final[Mapping[str, float]] = {
    **{name: mean.tick for name, mean in MEANS.items()},
    **dict.fromkeys(EXCESSES, 1.0 / 200.0),
}
"""Metric to the size of the whole numbers in which its means are counted."""


# gc=False: millions of these are made, and whole numbers cannot form a cycle.
class Statistics(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts and sums that only grow; false when all are zero."""

    def __add__(self, other: Statistics) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(*map(operator.add, astuple(self), astuple(other)))

    def __sub__(self, other: Statistics) -> Self:
        """Return what has come since `other`. Raises ValueError where a count has shrunk."""
        if type(other) is not type(self):
            return NotImplemented
        grown = tuple(map(operator.sub, astuple(self), astuple(other)))
        if min(grown) < 0:
            raise ValueError("a newer version of a window row holds less than an older one")
        return type(self)(*grown)

    def __bool__(self) -> bool:
        return any(astuple(self))


class BinaryStatistics(Statistics, frozen=True, array_like=True, gc=False, tag="binary"):
    """A yes or no on both sides: paired requests first, separate arms after them.

    A latency threshold lies between two histogram buckets, so each direction has a count of bad
    units of its own, rounded against its verdict. Elsewhere the two are equal.
    """

    pairs: int = 0
    stable_only: int = 0
    """Pairs that are bad on stable's side alone."""
    candidate_only: int = 0
    candidate_units: int = 0
    candidate_bad_rollback: int = 0
    candidate_bad_promotion: int = 0
    stable_units: int = 0
    stable_bad: int = 0
    both_bad: int = 0
    """Pairs that are bad on both sides: no part of their difference, but of each side's level."""

    @property
    def has_both_arms(self) -> bool:
        """Whether there is at least one unit in each separate arm."""
        return self.candidate_units > 0 and self.stable_units > 0


class LimitStatistics(Statistics, frozen=True, array_like=True, gc=False, tag="limit"):
    """A yes or no on the candidate's side alone; see `BinaryStatistics` on the two directions."""

    units: int = 0
    bad_rollback: int = 0
    bad_promotion: int = 0


class MeanStatistics(Statistics, frozen=True, array_like=True, gc=False, tag="mean"):
    """Sums, squares and products of values in whole ticks: paired requests, then separate arms."""

    pairs: int = 0
    paired_candidate: int = 0
    paired_stable: int = 0
    paired_candidate_squares: int = 0
    paired_products: int = 0
    paired_stable_squares: int = 0
    candidate_units: int = 0
    candidate_total: int = 0
    candidate_squares: int = 0
    stable_units: int = 0
    stable_total: int = 0
    stable_squares: int = 0

    @property
    def has_both_arms(self) -> bool:
        """Whether there is at least one unit in each separate arm."""
        return self.candidate_units > 0 and self.stable_units > 0


AnyStatistics = BinaryStatistics | LimitStatistics | MeanStatistics
Reader = Callable[[WindowRow], AnyStatistics]


def is_paired(row: WindowRow) -> bool:
    """Whether both sides of each request were compared."""
    return row.mode in PAIRED_MODES


# Yes or no


def rate_reader(metric: str) -> Reader:
    """Return the reader of a rate on both sides: discordant pairs, or separate arms."""
    rate, true_is_bad = RATES[metric], not METRICS[metric].higher_is_better
    stable_only, candidate_only = only_stable(rate.joint), only_candidate(rate.joint)
    both = both_sides(rate.joint)
    if not true_is_bad:  # true on one side only is bad on the other one
        stable_only, candidate_only = candidate_only, stable_only

    def read(row: WindowRow) -> BinaryStatistics:
        if rate.paired_among and is_paired(row):
            pair = row.pair
            pairs: int = getattr(pair, rate.paired_among)
            alone: tuple[int, int] = getattr(pair, stable_only), getattr(pair, candidate_only)
            true_on_both: int = getattr(pair, both)
            both_bad = true_on_both if true_is_bad else pairs - sum(alone) - true_on_both
            return BinaryStatistics(pairs, *alone, both_bad=both_bad)
        return _two_arms(
            _bad(rate, row.candidate, true_is_bad), _bad(rate, row.stable, true_is_bad)
        )

    return read


def rate_limit_reader(metric: str) -> Reader:
    """Return the reader of a rate of the candidate alone."""
    rate, true_is_bad = RATES[metric], not METRICS[metric].higher_is_better

    def read(row: WindowRow) -> LimitStatistics:
        units, bad = _bad(rate, row.candidate, true_is_bad)
        return LimitStatistics(units, bad, bad)

    return read


def _bad(
    rate: Outcome | Category, sums: SideSums | PairSums | ControlSums, true_is_bad: bool
) -> tuple[int, int]:
    """Units and the bad ones among them."""
    units: int = getattr(sums, rate.among)
    true_units: int = getattr(sums, rate.success)
    return units, true_units if true_is_bad else units - true_units


def _two_arms(candidate: tuple[int, int], stable: tuple[int, int]) -> BinaryStatistics:
    """Separate arms, each with its units and the bad ones among them."""
    return BinaryStatistics(
        candidate_units=candidate[0],
        candidate_bad_rollback=candidate[1],
        candidate_bad_promotion=candidate[1],
        stable_units=stable[0],
        stable_bad=stable[1],
    )


def agreement_reader(metric: str) -> Reader:
    """Return the reader of how often the candidate differs from stable, and stable from itself."""
    agreement = AGREEMENTS[metric]

    def read(row: WindowRow) -> BinaryStatistics:
        return _two_arms(_bad(agreement, row.pair, False), _bad(agreement, row.control, False))

    return read


def agreement_limit_reader(metric: str) -> Reader:
    """Return the reader of how often the candidate differs from stable."""
    agreement = AGREEMENTS[metric]

    def read(row: WindowRow) -> LimitStatistics:
        units, changed = _bad(agreement, row.pair, False)
        return LimitStatistics(units, changed, changed)

    return read


def unmatched_reader(row: WindowRow) -> LimitStatistics:
    """Read how many requests lack a side, among all that should have both."""
    if not is_paired(row):
        return LimitStatistics()
    unmatched = row.events.unmatched_stable + row.events.unmatched_candidate
    return LimitStatistics(row.pair.pairs + unmatched, unmatched, unmatched)


# Times


def times(measure: str, side: SideSums) -> tuple[Mapping[int, int], int]:
    """Return a measure's histogram and the number of timeouts that are not in it."""
    time = TIMES[measure]
    histogram: Mapping[int, int] = getattr(side, f"{time.name}_histogram")
    if not time.slow_when_timed_out:
        return histogram, 0
    return histogram, min(side.timeouts, side.requests - getattr(side, f"{time.name}_count"))


def exceeding(measure: str, side: SideSums, bucket: int) -> tuple[int, int]:
    """Return the units of a side and those above the upper edge of a bucket."""
    histogram, timeouts = times(measure, side)
    above = sum(count for index, count in histogram.items() if index > bucket)
    return sum(histogram.values()) + timeouts, above + timeouts


def time_limit_reader(measure: str, rollback_bucket: int, promotion_bucket: int) -> Reader:
    """Return the reader of how often the candidate exceeds a limit, rounded for each direction."""

    def read(row: WindowRow) -> LimitStatistics:
        units, bad_rollback = exceeding(measure, row.candidate, rollback_bucket)
        _, bad_promotion = exceeding(measure, row.candidate, promotion_bucket)
        return LimitStatistics(units, bad_rollback, bad_promotion)

    return read


def tail_reader(
    measure: str, stable_bucket: int, rollback_bucket: int, promotion_bucket: int
) -> Reader:
    """Return the reader of how often each side exceeds its threshold, as separate arms."""

    def read(row: WindowRow) -> BinaryStatistics:
        units, bad_rollback = exceeding(measure, row.candidate, rollback_bucket)
        _, bad_promotion = exceeding(measure, row.candidate, promotion_bucket)
        stable_units, stable_bad = exceeding(measure, row.stable, stable_bucket)
        return BinaryStatistics(
            candidate_units=units,
            candidate_bad_rollback=bad_rollback,
            candidate_bad_promotion=bad_promotion,
            stable_units=stable_units,
            stable_bad=stable_bad,
        )

    return read


# Means


_SIDE_PARTS: Final = ("count", "sum", "squares")
_PAIR_PARTS: Final = (
    "count", "candidate_sum", "stable_sum", "candidate_squares", "products", "stable_squares"
)  # fmt: skip


def mean_reader(metric: str) -> Reader:
    """Return the reader of a mean on both sides: pairs, or separate arms."""
    read_pair = _ticks_reader(MEANS[metric], _PAIR_PARTS)
    read_side = _ticks_reader(MEANS[metric], _SIDE_PARTS)

    def read(row: WindowRow) -> MeanStatistics:
        if is_paired(row):
            return MeanStatistics(*read_pair(row.pair))
        return MeanStatistics(0, 0, 0, 0, 0, 0, *read_side(row.candidate), *read_side(row.stable))

    return read


def mean_limit_reader(metric: str) -> Reader:
    """Return the reader of the candidate's own mean, as pairs of which stable's value is 0."""
    read_side = _ticks_reader(MEANS[metric], _SIDE_PARTS)

    def read(row: WindowRow) -> MeanStatistics:
        units, total, squares = read_side(row.candidate)
        return MeanStatistics(units, total, paired_candidate_squares=squares)

    return read


def _ticks_reader(
    mean: Distribution, parts: Sequence[str]
) -> Callable[[SideSums | PairSums], Sequence[int]]:
    """Return the reader of these sums of a measure in whole ticks.

    Sums of whole numbers are read as they are: they may be larger than floats are exact.
    """
    fields = operator.attrgetter(*(f"{mean.name}_{part}" for part in parts))
    if mean.tick == 1.0:
        return fields
    powers = [0 if part == "count" else 1 if part.endswith("sum") else 2 for part in parts]
    scales = [1.0 / mean.tick**power for power in powers]
    return lambda sums: [round(a * b) for a, b in zip(fields(sums), scales, strict=True)]


def excess_reader(metric: str) -> Reader:
    """Return the reader of how far pairs differ, in two-hundredths: candidate's and stable's own.

    Stable's own difference is from its second run. Only pairs count towards either arm. A bin
    stands for its middle, and equal texts for 0.
    """
    histogram = f"{EXCESSES[metric].name}_histogram"

    def read(row: WindowRow) -> MeanStatistics:
        candidate, stable = getattr(row.pair, histogram), getattr(row.control, histogram)
        arms = (*_disagreement(candidate), *_disagreement(stable))
        return MeanStatistics(0, 0, 0, 0, 0, 0, *arms)

    return read


def _disagreement(histogram: Mapping[int, int]) -> tuple[int, int, int]:
    """Units, sum and squares of 200 · (1 - similarity)."""
    values = [(max(0, 199 - 2 * bucket), count) for bucket, count in histogram.items()]
    return (
        sum(count for _, count in values),
        sum(value * count for value, count in values),
        sum(value**2 * count for value, count in values),
    )
