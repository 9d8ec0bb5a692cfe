"""The sums that a check takes from a window row, and the readers that take them.

There is one record for each kind of test: `BinaryStatistics`, `LimitStatistics`, `MeanStatistics`.
Their fields are whole numbers that add up, so differences of two versions of a row and sums over
rows are records of the same kind. Requests that timed out without a duration count as slower than
any limit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Self

import msgspec
from msgspec.structs import astuple

from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.measures import TOKEN_TICK, USD_TICK
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import WindowRow

TICKS: Final[Mapping[str, float]] = {
    "cost_usd": USD_TICK,
    "output_tokens": TOKEN_TICK,
    "similarity_excess": 1.0 / 200.0,
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


class _Rate(NamedTuple):
    """Where a rate's counts stand in a window row."""

    units: str
    """Field of a side: the units counted."""
    true_units: str
    """Field of a side: those of which the measure is true."""
    true_is_bad: bool
    pairs: str = ""
    """Field of pairs: the pairs compared. Without it sides are separate arms in every mode."""
    discordant: str = ""
    """Prefix of the fields of pairs in which the measure is true on one side only."""


_RATES: Final[Mapping[str, _Rate]] = {
    "error_rate": _Rate("requests", "errors", True, "pairs", "error"),
    "fallback_rate": _Rate("requests", "fallbacks", True, "pairs", "fallback"),
    "truncation_rate": _Rate("requests", "truncated", True, "answered", "truncated"),
    "json_valid_rate": _Rate(
        "json_expected", "json_valid", False, "json_expected_both", "json_valid"
    ),
    "json_schema_valid_rate": _Rate(
        "json_schema_checked", "json_schema_valid", False,
        "json_schema_checked_both", "json_schema_valid",
    ),
    "language_match_rate": _Rate(
        "language_checked", "language_match", False, "language_checked_both", "language_match"
    ),
    # Two users' opinions are never a pair.
    "feedback": _Rate("feedback_score_count", "feedback_positive", False),
}  # fmt: skip


def rate_reader(metric: str) -> Reader:
    """Return the reader of a rate on both sides: discordant pairs, or separate arms."""
    rate = _RATES[metric]

    def read(row: WindowRow) -> BinaryStatistics:
        if rate.pairs and is_paired(row):
            stable: int = getattr(row.pair, f"{rate.discordant}_only_stable")
            candidate: int = getattr(row.pair, f"{rate.discordant}_only_candidate")
            if not rate.true_is_bad:  # true on one side only is bad on the other one
                stable, candidate = candidate, stable
            return BinaryStatistics(getattr(row.pair, rate.pairs), stable, candidate)
        return _two_arms(_side(rate, row.candidate), _side(rate, row.stable))

    return read


def rate_limit_reader(metric: str) -> Reader:
    """Return the reader of a rate of the candidate alone."""
    rate = _RATES[metric]

    def read(row: WindowRow) -> LimitStatistics:
        units, bad = _side(rate, row.candidate)
        return LimitStatistics(units, bad, bad)

    return read


def _side(rate: _Rate, side: SideSums) -> tuple[int, int]:
    """Units of one side and the bad ones among them."""
    units: int = getattr(side, rate.units)
    true_units: int = getattr(side, rate.true_units)
    return units, true_units if rate.true_is_bad else units - true_units


def _two_arms(candidate: tuple[int, int], stable: tuple[int, int]) -> BinaryStatistics:
    """Separate arms, each with its units and the bad ones among them."""
    return BinaryStatistics(
        candidate_units=candidate[0],
        candidate_bad_rollback=candidate[1],
        candidate_bad_promotion=candidate[1],
        stable_units=stable[0],
        stable_bad=stable[1],
    )


def agreement_reader(row: WindowRow) -> BinaryStatistics:
    """Read how often tool calls differ: candidate's from stable's, stable's from its second run."""
    pair, control = row.pair, row.control
    return _two_arms(
        (pair.tool_calls_compared, pair.tool_calls_compared - pair.tool_calls_match),
        (control.tool_calls_compared, control.tool_calls_compared - control.tool_calls_match),
    )


def agreement_limit_reader(row: WindowRow) -> LimitStatistics:
    """Read how often the candidate's tool calls differ from stable's."""
    changed = row.pair.tool_calls_compared - row.pair.tool_calls_match
    return LimitStatistics(row.pair.tool_calls_compared, changed, changed)


def unmatched_reader(row: WindowRow) -> LimitStatistics:
    """Read how many requests lack a side, among all that should have both."""
    if not is_paired(row):
        return LimitStatistics()
    unmatched = row.events.unmatched_stable + row.events.unmatched_candidate
    return LimitStatistics(row.pair.pairs + unmatched, unmatched, unmatched)


# Times


def times(measure: str, side: SideSums) -> tuple[Mapping[int, int], int]:
    """Return a measure's histogram and the number of timeouts that are not in it."""
    if measure == "time_to_first_token":
        return side.time_to_first_token_ms_histogram, 0
    return side.duration_ms_histogram, min(side.timeouts, side.requests - side.duration_ms_count)


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

_TICKS_PER_USD: Final = 1.0 / USD_TICK
_SQUARE_TICKS_PER_USD: Final = 1.0 / USD_TICK**2
Sums = tuple[int, int, int]
"""Units of one side, the sum of their values and the sum of squares, in ticks."""


def mean_reader(metric: str) -> Reader:
    """Return the reader of the mean cost or tokens on both sides: pairs, or separate arms."""
    read_pair, read_side = _MEANS[metric]

    def read(row: WindowRow) -> MeanStatistics:
        if is_paired(row):
            return read_pair(row)
        return _mean_arms(read_side(row.candidate), read_side(row.stable))

    return read


def mean_limit_reader(metric: str) -> Reader:
    """Return the reader of the candidate's own mean, as pairs of which stable's value is 0."""
    _, read_side = _MEANS[metric]

    def read(row: WindowRow) -> MeanStatistics:
        units, total, squares = read_side(row.candidate)
        return MeanStatistics(units, total, paired_candidate_squares=squares)

    return read


def _paired_cost(row: WindowRow) -> MeanStatistics:
    pair = row.pair
    return MeanStatistics(
        pair.cost_usd_count,
        round(pair.cost_usd_candidate_sum * _TICKS_PER_USD),
        round(pair.cost_usd_stable_sum * _TICKS_PER_USD),
        round(pair.cost_usd_candidate_squares * _SQUARE_TICKS_PER_USD),
        round(pair.cost_usd_products * _SQUARE_TICKS_PER_USD),
        round(pair.cost_usd_stable_squares * _SQUARE_TICKS_PER_USD),
    )


def _paired_tokens(row: WindowRow) -> MeanStatistics:
    pair = row.pair
    return MeanStatistics(
        pair.output_tokens_count,
        pair.output_tokens_candidate_sum,
        pair.output_tokens_stable_sum,
        pair.output_tokens_candidate_squares,
        pair.output_tokens_products,
        pair.output_tokens_stable_squares,
    )


def _cost(side: SideSums) -> Sums:
    return (
        side.cost_usd_count,
        round(side.cost_usd_sum * _TICKS_PER_USD),
        round(side.cost_usd_squares * _SQUARE_TICKS_PER_USD),
    )


def _tokens(side: SideSums) -> Sums:
    return side.output_tokens_count, side.output_tokens_sum, side.output_tokens_squares


_MEANS: Final[
    Mapping[str, tuple[Callable[[WindowRow], MeanStatistics], Callable[[SideSums], Sums]]]
] = {"cost_usd": (_paired_cost, _cost), "output_tokens": (_paired_tokens, _tokens)}
"""Metric to the readers of its pairs and of one side."""


def excess_reader(row: WindowRow) -> MeanStatistics:
    """Read the disagreement with stable, in two-hundredths: candidate's and stable's second run's.

    Only pairs count towards either arm. A bin stands for its middle, and equal texts for 0.
    """
    return _mean_arms(
        _disagreement(row.pair.similarity_histogram),
        _disagreement(row.control.similarity_histogram),
    )


def _disagreement(histogram: Mapping[int, int]) -> Sums:
    """Units, sum and squares of 200 · (1 - similarity)."""
    values = [(max(0, 199 - 2 * bucket), count) for bucket, count in histogram.items()]
    return (
        sum(count for _, count in values),
        sum(value * count for value, count in values),
        sum(value**2 * count for value, count in values),
    )


def _mean_arms(candidate: Sums, stable: Sums) -> MeanStatistics:
    return MeanStatistics(0, 0, 0, 0, 0, 0, *candidate, *stable)
