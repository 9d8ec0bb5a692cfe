"""Sequential tests: how the statistics of a check become evidence, one class for each kind.

`BinaryTest` compares two sides by a yes or no, `LimitTest` holds the candidate's own share against
a limit, `MeanTest` compares means without a bound. All count harm: positive is worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np

from understudy.analyzers.guardrails.statistics import (
    BinaryStatistics,
    LimitStatistics,
    MeanStatistics,
    Statistics,
)
from understudy.analyzers.sequential import (
    Arm,
    Arms,
    Direction,
    Moments,
    Observations,
    Scale,
    confidence,
    exact,
    signed_bets,
    two_arm,
    unbounded,
)
from understudy.analyzers.sequential.bets import SIGNED_GRID, UNIT_GRID, FloatArray
from understudy.analyzers.sequential.confidence import Interval

MEAN_ARM_UNITS: Final = 20
"""Units that each arm needs before their means are compared: a variance must be estimable."""
UNBOUNDED: Final[Interval] = (-np.inf, np.inf)
S = TypeVar("S", bound=Statistics)


class Observed(NamedTuple):
    """What was observed, in the metric's natural unit; None without data or without such a side.

    `harm` is what is held against the margin, positive where the candidate is worse.
    """

    units: int
    candidate: float | None
    stable: float | None
    harm: float | None


class WindowHarm(NamedTuple):
    """Units of a window, their summed harm and the variance of one, for overdispersion."""

    units: float
    total: float
    variance: float


class IntervalSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a mean's interval needs, added up over batches: Σ harm, Σ weight, Σ penalty."""

    harm: float = 0.0
    weight: float = 0.0
    penalty: float = 0.0


class SequentialTest(Protocol[S]):
    """Turns statistics into evidence against, and for, a harm beyond the margin."""

    @property
    def n_bets(self) -> int:
        """Stakes in each direction."""

    @property
    def margin(self) -> float:
        """The harm tolerated."""

    def none(self) -> S:
        """Statistics of nothing."""

    def split(self, statistics: S) -> tuple[S, S]:
        """Split off what can be staked on now from what must wait for units of the other arm."""

    def increments(self, statistics: S, direction: Direction, scale: Scale) -> FloatArray:
        """Return the log-wealth won on a batch, (n_bets,)."""

    def updated_scale(self, statistics: S, scale: Scale) -> Scale:
        """Return the scale after a batch."""

    def interval_sums(self, statistics: S, scale: Scale, so_far: IntervalSums) -> IntervalSums:
        """Return the sums that the interval rests on, after a batch."""

    def units(self, statistics: S) -> int:
        """Return the candidate's units."""

    def window_harm(self, statistics: S) -> WindowHarm | None:
        """Return how a window's harm varies; None where the window is too small to say."""

    def observed(self, statistics: S) -> Observed:
        """Return what was observed."""

    def interval(self, statistics: S, sums: IntervalSums, scale: Scale, alpha: float) -> Interval:
        """Return where the harm lies, `alpha` for both ends together."""


AnyTest = SequentialTest[Any]


@dataclass(frozen=True, slots=True)
class BinaryTest:
    """Both sides, a yes or no: discordant pairs exactly, separate arms by all their pairings."""

    margin: float
    n_bets: int = SIGNED_GRID.size

    def none(self) -> BinaryStatistics:
        return BinaryStatistics()

    def split(self, statistics: BinaryStatistics) -> tuple[BinaryStatistics, BinaryStatistics]:
        if statistics.has_both_arms:
            return statistics, BinaryStatistics()
        paired = BinaryStatistics(
            statistics.pairs,
            statistics.stable_only,
            statistics.candidate_only,
            both_bad=statistics.both_bad,
        )
        return paired, statistics - paired

    def increments(
        self, statistics: BinaryStatistics, direction: Direction, scale: Scale
    ) -> FloatArray:
        bets = signed_bets(direction, self.margin)
        won = exact.log_increments(_discordant(statistics), exact.PAIRED_VALUES, self.margin, bets)
        if statistics.has_both_arms:
            arms = self._arms(statistics, direction)
            won = won + two_arm.log_increments(arms, self.margin, bets)
        return won

    def updated_scale(self, statistics: BinaryStatistics, scale: Scale) -> Scale:
        return scale

    def interval_sums(
        self, statistics: BinaryStatistics, scale: Scale, so_far: IntervalSums
    ) -> IntervalSums:
        return so_far

    def units(self, statistics: BinaryStatistics) -> int:
        return statistics.pairs + statistics.candidate_units

    def window_harm(self, statistics: BinaryStatistics) -> WindowHarm | None:
        s = statistics
        if s.has_both_arms:
            units = _paired_units(s)
            variance = _variance_of_difference(s)
            return WindowHarm(units, units * _difference(s), units * variance)
        if s.pairs < 2:
            return None
        mean = (s.candidate_only - s.stable_only) / s.pairs
        variance = (s.candidate_only + s.stable_only) / s.pairs - mean**2
        unbiased = variance * s.pairs / (s.pairs - 1)
        return WindowHarm(s.pairs, s.candidate_only - s.stable_only, unbiased)

    def observed(self, statistics: BinaryStatistics) -> Observed:
        s = statistics
        candidate = _ratio(
            s.candidate_only + s.both_bad + s.candidate_bad_rollback, s.pairs + s.candidate_units
        )
        stable = _ratio(s.stable_only + s.both_bad + s.stable_bad, s.pairs + s.stable_units)
        harm = None if candidate is None or stable is None else candidate - stable
        return Observed(self.units(s), candidate, stable, harm)

    def interval(
        self, statistics: BinaryStatistics, sums: IntervalSums, scale: Scale, alpha: float
    ) -> Interval:
        if statistics.pairs:
            return confidence.exact_interval(
                _discordant(statistics), exact.PAIRED_VALUES, alpha / 2
            )
        if not statistics.has_both_arms:
            return UNBOUNDED
        # Half a bad unit more than seen: none at all is no proof that there never will be one.
        variance = _variance_of_difference(statistics, bad=0.5, units=1)
        return confidence.asymptotic_interval(
            _difference(statistics), variance, _paired_units(statistics), alpha
        )

    def _arms(self, statistics: BinaryStatistics, direction: Direction) -> Arms:
        s = statistics
        bad = s.candidate_bad_rollback if direction == "rollback" else s.candidate_bad_promotion
        return Arms(Arm(s.candidate_units, bad), Arm(s.stable_units, s.stable_bad))


def _discordant(statistics: BinaryStatistics) -> FloatArray:
    return exact.paired_counts(statistics.pairs, statistics.stable_only, statistics.candidate_only)


def _paired_units(s: BinaryStatistics | MeanStatistics) -> float:
    """How many pairs two arms are worth."""
    return s.candidate_units * s.stable_units / (s.candidate_units + s.stable_units)


def _difference(s: BinaryStatistics) -> float:
    """Candidate's share of bad units minus stable's."""
    return s.candidate_bad_rollback / s.candidate_units - s.stable_bad / s.stable_units


def _variance_of_difference(s: BinaryStatistics, bad: float = 0.0, units: int = 0) -> float:
    """Variance of the arms' difference, each with so many `bad` and `units` added."""
    candidate = _variance(s.candidate_bad_rollback + bad, s.candidate_units + units)
    stable = _variance(s.stable_bad + bad, s.stable_units + units)
    return candidate / s.candidate_units + stable / s.stable_units


@dataclass(frozen=True, slots=True)
class LimitTest:
    """The candidate's share of bad units against a limit, exactly."""

    margin: float
    n_bets: int = UNIT_GRID.size

    def none(self) -> LimitStatistics:
        return LimitStatistics()

    def split(self, statistics: LimitStatistics) -> tuple[LimitStatistics, LimitStatistics]:
        return statistics, LimitStatistics()

    def increments(
        self, statistics: LimitStatistics, direction: Direction, scale: Scale
    ) -> FloatArray:
        s = statistics
        bad = s.bad_rollback if direction == "rollback" else s.bad_promotion
        bets = signed_bets(direction, self.margin, low=0.0)
        outcomes = exact.limit_counts(s.units, bad)
        return exact.log_increments(outcomes, exact.LIMIT_VALUES, self.margin, bets)

    def updated_scale(self, statistics: LimitStatistics, scale: Scale) -> Scale:
        return scale

    def interval_sums(
        self, statistics: LimitStatistics, scale: Scale, so_far: IntervalSums
    ) -> IntervalSums:
        return so_far

    def units(self, statistics: LimitStatistics) -> int:
        return statistics.units

    def window_harm(self, statistics: LimitStatistics) -> WindowHarm | None:
        units, bad = statistics.units, statistics.bad_rollback
        return WindowHarm(units, bad, _variance(bad, units)) if units > 1 else None

    def observed(self, statistics: LimitStatistics) -> Observed:
        share = _ratio(statistics.bad_rollback, statistics.units)
        return Observed(statistics.units, share, None, share)

    def interval(
        self, statistics: LimitStatistics, sums: IntervalSums, scale: Scale, alpha: float
    ) -> Interval:
        outcomes = exact.limit_counts(statistics.units, statistics.bad_rollback)
        return confidence.exact_interval(outcomes, exact.LIMIT_VALUES, alpha / 2, low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Means without a bound: harm x = sign · (candidate - factor · stable - shift).

    `tick` is the size of the whole numbers that the statistics count in; `shift` is in natural
    units.
    """

    tick: float
    sign: float = 1.0
    factor: float = 1.0
    shift: float = 0.0
    relative: bool = False
    n_bets: int = unbounded.STAKES.size

    @property
    def margin(self) -> float:
        """The harm tolerated, as a share of stable where relative."""
        return self.sign * ((self.factor - 1.0) if self.relative else self.shift)

    def none(self) -> MeanStatistics:
        return MeanStatistics()

    def split(self, statistics: MeanStatistics) -> tuple[MeanStatistics, MeanStatistics]:
        s = statistics
        if min(s.candidate_units, s.stable_units) >= MEAN_ARM_UNITS:
            return s, MeanStatistics()
        paired = MeanStatistics(
            s.pairs,
            s.paired_candidate,
            s.paired_stable,
            s.paired_candidate_squares,
            s.paired_products,
            s.paired_stable_squares,
        )
        return paired, s - paired

    def increments(
        self, statistics: MeanStatistics, direction: Direction, scale: Scale
    ) -> FloatArray:
        return unbounded.log_increments(self._observations(statistics), scale, direction)

    def updated_scale(self, statistics: MeanStatistics, scale: Scale) -> Scale:
        return scale.after(self._observations(statistics))

    def interval_sums(
        self, statistics: MeanStatistics, scale: Scale, so_far: IntervalSums
    ) -> IntervalSums:
        """Return the sums after a batch; before calibration none, as nothing is staked before."""
        if scale.prior <= 0.0:
            return so_far
        observations, weight = self._observations(statistics), self._margin_weight(statistics)
        # Observations are counted from the margin; the interval asks where the harm itself lies.
        harm = observations.total + self.margin * weight
        return IntervalSums(
            so_far.harm + harm,
            so_far.weight + weight,
            so_far.penalty + unbounded.penalty(observations, scale),
        )

    def units(self, statistics: MeanStatistics) -> int:
        return statistics.pairs + statistics.candidate_units

    def window_harm(self, statistics: MeanStatistics) -> WindowHarm | None:
        s = statistics
        if min(s.candidate_units, s.stable_units) > 1 and not s.pairs:
            arms = self._of_arms(s)
            return WindowHarm(arms.units, arms.total, arms.spread / arms.units)
        if s.pairs < 2 or s.candidate_units:
            return None
        pairs = self._of_pairs(s)
        mean = pairs.total / pairs.units
        variance = max(0.0, pairs.square / pairs.units - mean**2)
        return WindowHarm(pairs.units, pairs.total, variance * pairs.units / (pairs.units - 1))

    def observed(self, statistics: MeanStatistics) -> Observed:
        s, units = statistics, self.units(statistics)
        candidate = self._mean(s.paired_candidate + s.candidate_total, units)
        stable = self._mean(s.paired_stable + s.stable_total, s.pairs + s.stable_units)
        if self.factor == 0.0:
            harm = None if candidate is None else self.sign * candidate
            return Observed(units, candidate, None, harm)
        if candidate is None or stable is None:
            return Observed(units, candidate, stable, None)
        harm = self.sign * (candidate - stable)
        if not self.relative:
            return Observed(units, candidate, stable, harm)
        return Observed(units, candidate, stable, harm / stable if stable > 0.0 else None)

    def interval(
        self, statistics: MeanStatistics, sums: IntervalSums, scale: Scale, alpha: float
    ) -> Interval:
        return confidence.mean_interval(
            sums.harm, sums.weight, sums.penalty, scale.prior, alpha / 2
        )

    def _mean(self, total: int, units: int) -> float | None:
        return total * self.tick / units if units else None

    def _margin_weight(self, s: MeanStatistics) -> float:
        """By what the margin is multiplied in a batch's total."""
        arms = _paired_units(s) if s.has_both_arms else 0.0
        if not self.relative:
            return s.pairs + arms
        stable = s.paired_stable * self.tick
        return stable + (arms * s.stable_total / s.stable_units * self.tick if arms else 0.0)

    def _observations(self, s: MeanStatistics) -> Observations:
        """Return pairs and arms together; one of them is empty in nearly every batch."""
        pairs, arms = self._of_pairs(s), self._of_arms(s)
        return Observations(
            pairs.units + arms.units,
            pairs.total + arms.total,
            pairs.square + arms.square,
            pairs.spread + arms.spread,
        )

    def _of_pairs(self, s: MeanStatistics) -> Observations:
        n, tick, square_tick = s.pairs, self.tick, self.tick**2
        ratio = unbounded.paired_ratio(
            n,
            s.paired_candidate * tick,
            s.paired_stable * tick,
            s.paired_candidate_squares * square_tick,
            s.paired_products * square_tick,
            s.paired_stable_squares * square_tick,
            self.factor - 1.0,
        )
        total = ratio.total - n * self.shift
        square = max(0.0, ratio.square - 2.0 * self.shift * ratio.total + n * self.shift**2)
        return Observations(ratio.units, self.sign * total, square, square)

    def _of_arms(self, s: MeanStatistics) -> Observations:
        tick, square_tick = self.tick, self.tick**2
        arms = unbounded.unpaired(
            Moments(s.candidate_units, s.candidate_total * tick, s.candidate_squares * square_tick),
            Moments(s.stable_units, s.stable_total * tick, s.stable_squares * square_tick),
            self.factor,
            self.shift,
        )
        return Observations(arms.units, self.sign * arms.total, arms.square, arms.spread)


def _ratio(count: int, units: int) -> float | None:
    return count / units if units else None


def _variance(bad: float, units: float) -> float:
    """Unbiased variance of a yes or no; 0 of fewer than two."""
    share = bad / units if units else 0.0
    return share * (1.0 - share) * units / (units - 1) if units > 1 else 0.0
