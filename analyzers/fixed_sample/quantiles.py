"""Quantiles of times, such as p95 of the duration, in a fixed sample: by order statistics.

Nothing is assumed of the times, nor of how those of the two sides go together. Stable's quantile
lies between two of its order statistics with a confidence of 1 - β, by the binomial distribution.
It is not shown to be exceeded where, for a time between them, the candidate takes longer than r
times it about as often as stable takes longer than it: by the cases in which one side alone does,
exactly. It is shown not to be where the candidate takes longer than r times the lower one too
seldom for a share of 1 - q.

It takes cases: the slowest of 200 answers bounds a p95, and nothing bounds a p99, of which two in
200 lie beyond. `docs/statistics.md` says what is found from how many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from understudy.analyzers.fixed_sample import binomial
from understudy.analyzers.fixed_sample.alike_cases import design_effect, fewer, more
from understudy.analyzers.fixed_sample.units import added_by_unit
from understudy.analyzers.guardrails.checks import Check, bucket_above, bucket_below
from understudy.analyzers.guardrails.column_readers import times
from understudy.analyzers.guardrails.row_columns import HistogramColumn, RowColumns
from understudy.analyzers.sequential.bets import Direction, FloatArray, IntArray
from understudy.analyzers.sequential.tail_buckets import GAMMA, raised_bucket

BETA_SHARE: Final = 0.25
"""Of the threshold that a p-value is for: what bounding stable's quantile may cost."""
_UNBOUNDED: Final = 1e-4
"""Chance that no case lies beyond the quantile, from which it has no upper bound: a tenth of the
error of a rollback, shared over ten guardrails, of which `BETA_SHARE` would be enough."""
_LARGEST_RATIO: Final = 1_000.0
"""Of an interval's upper end: as much as a policy may tolerate."""
_LARGEST_MS: Final = 86_400_000.0
"""The same of a difference: a day."""
_SMALLEST_RATIO: Final = 1e-12
"""Of a limit that would not be positive: below any time."""
_NUMBERS_OF_CASES: Final = [math.ceil(50 * 1.25**step) for step in range(35)]
"""From 50 to a hundred thousand, in steps of a quarter: about as many are needed, no more."""
_STEPS: Final = 40
"""Of a bisection: to a millionth of the range, finer than a bucket."""


@dataclass(frozen=True, slots=True)
class Exceedance:
    """One side's cases by how long they took; a timeout exceeds any time."""

    first: int
    above: IntArray
    """Cases above the buckets from `first` - 1 on; no case is above the last."""
    cases: int
    timeouts: int

    @classmethod
    def of(cls, histogram: HistogramColumn, timeouts: FloatArray) -> Exceedance:
        """Of rows' histograms and timeouts."""
        slow = int(timeouts.sum())
        if not histogram.buckets.size:
            return cls(0, np.zeros(1, np.int64), slow, slow)
        first = int(histogram.buckets.min())
        counts = np.bincount(histogram.buckets - first, weights=histogram.counts).astype(np.int64)
        above = np.concatenate([counts[::-1].cumsum()[::-1], [0]])
        return cls(first, above, int(counts.sum()) + slow, slow)

    def beyond(self, bucket: int) -> int:
        """Return how many cases took longer than a bucket's upper edge."""
        place = min(max(bucket - self.first + 1, 0), self.above.size - 1)
        return int(self.above[place]) + self.timeouts

    def quantile_bucket(self, quantile: float) -> int | None:
        """Return the bucket that holds a quantile; None where that is a timeout."""
        most = (1.0 - quantile) * self.cases
        found = np.flatnonzero(self.above + self.timeouts <= most)
        return self.first - 1 + int(found[0]) if found.size and self.cases else None


@dataclass(frozen=True, slots=True)
class QuantileTest:
    """A quantile on both sides, as `FixedTest` has it."""

    check: Check
    cases: int
    stable: Exceedance
    candidate: Exceedance
    design_effect: float
    pairs: FloatArray | None = None
    """(n, 2) buckets of both sides of each case, infinite for a timeout; None where cases of one
    conversation are counted together."""

    @classmethod
    def of(cls, columns: RowColumns, units: IntArray, check: Check) -> QuantileTest:
        """Of the rows of a slice and their units, (n,)."""
        sides = [times(columns, check.metric.measure, side) for side in ("stable", "candidate")]
        stable, candidate = (Exceedance.of(*side) for side in sides)
        cases = min(stable.cases, candidate.cases)
        effects = [
            _design_effect(histogram, slow, units, one.quantile_bucket(check.metric.quantile))
            for (histogram, slow), one in zip(sides, (stable, candidate), strict=True)
        ]
        return cls(check, cases, stable, candidate, max(effects), _pairs(sides))

    @property
    def quantile(self) -> float:
        """As a share."""
        return self.check.metric.quantile

    @property
    def margin(self) -> float:
        """The increase tolerated, relative or in ms."""
        return self.check.value

    @property
    def is_testable(self) -> bool:
        """Whether there are enough cases to bound stable's quantile from above."""
        return self.quantile ** fewer(self.stable.cases, self.design_effect) < _UNBOUNDED

    @property
    def note(self) -> str:
        """Why it cannot be tested; empty where it can."""
        if self.is_testable:
            return ""
        return f"{self.cases} cases are too few to show harm at p{100 * self.quantile:g}"

    @property
    def levels(self) -> tuple[float | None, float | None]:
        """Stable's quantile and the candidate's in ms."""
        buckets = [side.quantile_bucket(self.quantile) for side in (self.stable, self.candidate)]
        stable, candidate = (None if one is None else GAMMA ** (one - 0.5) for one in buckets)
        return stable, candidate

    @property
    def harm(self) -> float | None:
        """The increase seen, relative or in ms."""
        stable, candidate = self.levels
        if stable is None or candidate is None:
            return None
        return candidate / stable - 1.0 if self.check.guardrail.relative else candidate - stable

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of an increase beyond the margin."""
        return self._p_beyond(self.margin, threshold)

    def p_within(self, threshold: float) -> float:
        """Return the p-value of an increase within the margin."""
        return self._p_below(self.margin, threshold)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the increase lies."""
        if not self.cases:
            return -math.inf, math.inf
        relative = self.check.guardrail.relative
        least, most = (-1.0, _LARGEST_RATIO) if relative else (-_LARGEST_MS, _LARGEST_MS)
        half = alpha / 2
        low = _boundary(least, most, lambda harm: self._p_beyond(harm, half) <= half)
        high = _boundary(least, most, lambda harm: self._p_below(harm, half) > half)
        return -math.inf if low <= least else low, math.inf if high >= most else high

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return nothing: it depends on how the times are distributed."""
        return None

    def cases_needed(self, threshold: float) -> int | None:
        """Return about in how many cases a candidate as fast as stable would pass.

        Were the times of more cases distributed as those of stable's are. None where not even a
        hundred thousand would do.
        """
        if self.margin <= 0.0 or not self.stable.cases:
            return None
        for cases in _NUMBERS_OF_CASES:
            if self._would_pass(cases, threshold):
                return math.ceil(cases * self.design_effect)
        return None

    def _would_pass(self, cases: int, threshold: float) -> bool:
        beta, share = threshold * BETA_SHARE, 1.0 - self.quantile
        most = (cases - _critical(cases, 1.0 - share, beta)) / cases
        shares = (self.stable.above + self.stable.timeouts) / self.stable.cases
        few = np.flatnonzero(shares <= most)
        if not few.size:
            return False
        bound = self.stable.first - 1 + int(few[0])
        raised = _raised(bound - 1, self.margin, self.check, "promotion")
        beyond = math.ceil(self.stable.beyond(raised) / self.stable.cases * cases)
        return binomial.at_most(beyond, cases, share) + beta <= threshold

    def _p_beyond(self, harm: float, threshold: float) -> float:
        beta, share = threshold * BETA_SHARE, 1.0 - self.quantile
        n = fewer(self.stable.cases, self.design_effect)
        fewest = _critical(n, share, beta)
        if fewest == 0:  # any time, however long, may be stable's quantile
            return 1.0
        bound = self._last_bucket(fewest)
        if bound is None:
            return 1.0
        if self.pairs is not None:
            return self._p_of_pairs(self.pairs, bound, harm, beta)
        beyond = self.candidate.beyond(_raised(bound, harm, self.check, "rollback"))
        trials = fewer(self.candidate.cases, self.design_effect)
        bad = min(trials, fewer(beyond, self.design_effect))
        return min(1.0, binomial.at_least(bad, trials, share) + beta)

    def _p_of_pairs(self, pairs: FloatArray, last: int, harm: float, beta: float) -> float:
        """By the cases in which one side alone exceeds its time, for each time that is plausible.

        If stable's quantile lies in a bucket, stable exceeds the bucket's lower edge more often
        than the candidate exceeds the raised upper one. Numbers of either alone are not asked.
        """
        n = fewer(self.stable.cases, self.design_effect)
        most = n - _critical(n, self.quantile, beta)
        first = self._first_bucket(most)
        if first is None:
            return 1.0
        found = 0.0
        for bucket in np.unique(np.clip(pairs[:, 0], first, last)).astype(np.int64).tolist():
            is_beyond = pairs > (bucket - 1, _raised(bucket, harm, self.check, "rollback"))
            alone = int((is_beyond[:, 1] & ~is_beyond[:, 0]).sum())
            either = alone + int((is_beyond[:, 0] & ~is_beyond[:, 1]).sum())
            found = max(found, binomial.at_least(alone, either, 0.5))
            if found >= 1.0:
                break
        return min(1.0, found + 2.0 * beta)

    def _p_below(self, harm: float, threshold: float) -> float:
        beta, share = threshold * BETA_SHARE, 1.0 - self.quantile
        n = fewer(self.stable.cases, self.design_effect)
        if n == 0:
            return 1.0
        most = n - _critical(n, 1.0 - share, beta)
        bound = self._first_bucket(most)
        if bound is None:
            return 1.0
        beyond = self.candidate.beyond(_raised(bound - 1, harm, self.check, "promotion"))
        trials = fewer(self.candidate.cases, self.design_effect)
        bad = min(trials, more(beyond, self.design_effect))
        return min(1.0, binomial.at_most(bad, trials, share) + beta)

    def _last_bucket(self, fewest: int) -> int | None:
        """The last bucket that may hold stable's quantile: enough cases lie above the one before.

        None where timeouts alone are enough.
        """
        stable = self.stable
        if fewer(stable.timeouts, self.design_effect) >= fewest:
            return None
        enough = np.floor((stable.above + stable.timeouts) / self.design_effect) >= fewest
        return stable.first + int(np.flatnonzero(enough)[-1]) if enough.any() else stable.first

    def _first_bucket(self, most: int) -> int | None:
        """The first bucket that may hold stable's quantile: few enough cases lie above it.

        None where timeouts alone are too many.
        """
        stable = self.stable
        few = np.ceil((stable.above + stable.timeouts) / self.design_effect) <= most
        return stable.first - 1 + int(np.flatnonzero(few)[0]) if few.any() else None


def _pairs(sides: Sequence[tuple[HistogramColumn, FloatArray]]) -> FloatArray | None:
    """Return both sides' buckets of each row that has both; None unless a row is one case."""
    buckets = []
    for histogram, timeouts in sides:
        if (histogram.total() + timeouts > 1.0).any():
            return None
        of_rows = np.full(histogram.n_rows, np.nan)
        of_rows[histogram.rows] = histogram.buckets
        of_rows[timeouts > 0.0] = np.inf
        buckets.append(of_rows)
    both = np.stack(buckets, axis=-1)
    known: FloatArray = both[~np.isnan(both).any(axis=-1)]
    return known


@lru_cache(maxsize=256)
def _critical(cases: int, share: float, beta: float) -> int:
    """The least number of so many cases that has a chance of more than `beta`, or fewer do."""
    chances = np.exp(binomial.log_chances(range(cases + 1), cases, share))
    return int(np.flatnonzero(chances.cumsum() > beta)[0])


def _raised(bucket: int, harm: float, check: Check, direction: Direction) -> int:
    """The bucket of the candidate's limit where stable's quantile ends with a bucket."""
    if check.guardrail.relative:
        return raised_bucket(bucket, max(1.0 + harm, _SMALLEST_RATIO), direction)
    edge = max(GAMMA**bucket + harm, _SMALLEST_RATIO)
    return bucket_above(edge) if direction == "rollback" else bucket_below(edge)


def _boundary(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Where a condition that holds from `low` on ceases to hold; `high` where it never does."""
    if holds(high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _design_effect(
    histogram: HistogramColumn, timeouts: FloatArray, units: IntArray, bucket: int | None
) -> float:
    """By how much less cases tell of how many are beyond a bucket."""
    beyond = timeouts if bucket is None else histogram.above(bucket) + timeouts
    by_unit = added_by_unit(np.stack([histogram.total() + timeouts, beyond], axis=-1), units)
    return design_effect(by_unit[:, 0], by_unit[:, 1], float(beyond.sum()))
