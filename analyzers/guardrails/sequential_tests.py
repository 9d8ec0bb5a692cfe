"""Sequential tests: how the statistics of a check become evidence, one class for each kind.

`BinaryTest` compares two sides by a yes or no, `LimitTest` holds the candidate's own share against
a limit, `MeanTest` compares means without a bound, `GradedTest` what an evaluator says of both
sides, and `NoiseTest` what it says of stable alone. All count harm: positive is worse.

Statistics are arrays (..., k), see `column_readers`; what is computed for one place of the leading
axes depends on nothing else in the array, to the last bit. A scale is an array (..., 3) of prior,
units and spread, zeros to begin with; `MeanTest` alone has use for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol, TypeVar

import numpy as np

from understudy.analyzers.guardrails.column_readers import (
    BinaryColumns,
    LimitColumns,
    MeanColumns,
)
from understudy.analyzers.guardrails.graded_columns import (
    DIFFERENCES,
    GRADED_FIELDS,
    GRADES,
    NOISE,
    place_of,
)
from understudy.analyzers.sequential import (
    Direction,
    confidence,
    conversations,
    signed_bets,
    two_arm_cells,
)
from understudy.analyzers.sequential.bets import (
    SIGNED_GRID,
    UNIT_GRID,
    BoolArray,
    FloatArray,
    IntArray,
)
from understudy.analyzers.sequential.unbounded import (
    CALIBRATION_UNITS,
    PRIOR_UNITS,
    STAKES,
    staked,
)

MEAN_ARM_UNITS: Final = 20
"""Units that each arm needs before their means are compared: a variance must be estimable."""
SCALE_PARTS: Final = 3
"""Of a scale, and of what an interval needs."""
NEITHER, CANDIDATE_ONLY = 1, 2
"""Places of pairs that are bad on no side, and on the candidate's alone, among `_joint_counts`."""
C = TypeVar("C", BinaryColumns, LimitColumns, MeanColumns)


class Observed(NamedTuple):
    """What was observed, in the metric's natural unit; None without data or without such a side.

    `harm` is what is held against the margin, positive where the candidate is worse.
    """

    units: int
    candidate: float | None
    stable: float | None
    harm: float | None


class SequentialTest(Protocol):
    """Turns statistics into evidence against, and for, a harm beyond the margin."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names along the last axis of the statistics."""

    @property
    def n_bets(self) -> int:
        """Stakes in each direction."""

    @property
    def margin(self) -> float:
        """The harm tolerated."""

    @property
    def interval_kind(self) -> object:
        """What `interval` depends on besides its arguments: alike in tests that share it."""

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Split off what can be staked on now from what must wait for units of the other arm."""

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        """Return the log-wealth won on batches, (..., n_bets); `scale` (..., 3) broadcasts."""

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the scale before each of T batches, and after the last: (T + 1, ..., 3).

        `statistics` (T, ..., k) come one after the other, `scale` (..., 3) precedes them.
        """

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return what an interval needs of batches, (..., 3): it adds up."""

    def units(self, statistics: FloatArray) -> FloatArray:
        """Return the candidate's units, (...)."""

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        """Return units of windows, their summed harm and the variance of one unit, (..., 3).

        NaN where a window is too small to say.
        """

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        """Return the same of stable's own outcomes, (..., 3): NaN where it is not looked at."""

    def observed(self, statistics: FloatArray) -> Observed:
        """Return what was observed, of (k,) statistics."""

    def interval(
        self,
        statistics: FloatArray,
        sums: FloatArray,
        scale: FloatArray,
        alpha: float,
        design_effect: FloatArray | float = 1.0,
    ) -> FloatArray:
        """Return where the harm lies, (..., 2), `alpha` for both ends together.

        `sums` (..., 3) are those of `interval_sums`, `scale` (..., 3) is the last one, the design
        effect is (...).
        """


def no_scale(statistics: FloatArray) -> FloatArray:
    """Return the scale before anything, for statistics of this shape."""
    return np.zeros((*statistics.shape[:-1], SCALE_PARTS))


class Splitting(Protocol):
    """A test, or several of a kind, of which some units may have to wait."""

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Split off what can be staked on now from what must wait for units of the other arm."""


def carried(
    test: Splitting, statistics: FloatArray, waiting: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Carry what must wait for the other arm into later batches.

    Of T batches (T, ..., k), one after the other, and what waited before them (..., k), return
    what can be staked on at each, and what waits after each, both (T, ..., k). Whether to wait
    depends on numbers of units and never on outcomes, which keeps it valid.
    """
    ready, left = test.split(statistics)
    if not waiting.any() and not left.any():
        return statistics, np.zeros_like(statistics)
    for step, batch in enumerate(statistics):
        ready[step], left[step] = test.split(batch + waiting)
        waiting = left[step]
    return ready, left


@dataclass(frozen=True, slots=True)
class BinaryTest:
    """Both sides, a yes or no: pairs exactly, separate arms by all their pairings.

    Harm is candidate - ratio · stable.
    """

    margin: float
    ratio: float = 1.0
    n_bets: int = SIGNED_GRID.size

    @property
    def fields(self) -> tuple[str, ...]:
        return BinaryColumns._fields

    @property
    def interval_kind(self) -> object:
        return type(self), self.ratio

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        s = _columns(BinaryColumns, statistics)
        has_both = (s.candidate_units > 0.0) & (s.stable_units > 0.0)
        return _split(statistics, has_both, self.fields.index("candidate_units"))

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        won = _won(self.counts(statistics, direction), self.gains(direction))
        return won + self.increments_of_arms(statistics, direction)

    def counts(self, statistics: FloatArray, direction: Direction) -> tuple[FloatArray, ...]:
        """Return the units of `increments` that pay alike, (...) each."""
        return _joint_counts(_columns(BinaryColumns, statistics), direction)

    def gains(self, direction: Direction) -> FloatArray:
        """Return the log-wealth that each of these units wins, (4, n_bets)."""
        bets = signed_bets(direction, self.margin, low=-self.ratio)
        return np.stack([np.log1p(bets * (harm - self.margin)) for harm in self._harms])

    def increments_of_arms(self, statistics: FloatArray, direction: Direction) -> FloatArray:
        """Return what separate arms add to `increments`, (..., n_bets)."""
        return two_arm_cells.log_increments(
            *arms_of(statistics, direction), self.payoffs_of_arms(direction)
        )

    def payoffs_of_arms(self, direction: Direction) -> two_arm_cells.Payoffs:
        """Return what pairings of two arms win."""
        bets = signed_bets(direction, self.margin, low=-self.ratio)
        return two_arm_cells.Payoffs.of(self.margin, bets, self.ratio)

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return _unchanged(statistics, scale)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return no_scale(statistics)

    def units(self, statistics: FloatArray) -> FloatArray:
        s = _columns(BinaryColumns, statistics)
        return s.pairs + s.candidate_units

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        s = _columns(BinaryColumns, statistics)
        has_both = (s.candidate_units > 0.0) & (s.stable_units > 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._paired_harm(s) / s.pairs
            squares = sum(
                count * harm**2
                for count, harm in zip(_joint_counts(s, "rollback"), self._harms, strict=True)
            )
            variance = (squares / s.pairs - mean**2) * s.pairs / (s.pairs - 1.0)
            weight = _weight(s)
            arms = weight, weight * self._difference(s), weight * self._variance_of_difference(s)
        paired = [
            np.where(s.pairs < 2.0, np.nan, part)
            for part in (s.pairs, self._paired_harm(s), variance)
        ]
        return np.stack(
            [np.where(has_both, arm, pair) for arm, pair in zip(arms, paired, strict=True)], axis=-1
        )

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        s = _columns(BinaryColumns, statistics)
        units = s.pairs + s.stable_units
        bad = s.stable_only_rollback + s.both_rollback + s.stable_bad_rollback
        return _harm(units, bad, _variance(bad, units))

    def observed(self, statistics: FloatArray) -> Observed:
        s = _columns(BinaryColumns, statistics)
        candidate = _ratio(
            s.candidate_only_rollback + s.both_rollback + s.candidate_bad_rollback,
            s.pairs + s.candidate_units,
        )
        stable = _ratio(
            s.stable_only_rollback + s.both_rollback + s.stable_bad_rollback,
            s.pairs + s.stable_units,
        )
        harm = None if candidate is None or stable is None else candidate - self.ratio * stable
        return Observed(int(self.units(statistics)), candidate, stable, harm)

    def interval(
        self,
        statistics: FloatArray,
        sums: FloatArray,
        scale: FloatArray,
        alpha: float,
        design_effect: FloatArray | float = 1.0,
    ) -> FloatArray:
        s = _columns(BinaryColumns, statistics)
        paired = confidence.exact_intervals(
            np.stack(_joint_counts(s, "rollback"), axis=-1),
            np.array(self._harms),
            alpha / 2,
            low=-self.ratio,
            design_effect=design_effect,
        )
        has_both = (s.candidate_units > 0.0) & (s.stable_units > 0.0)
        # Half a bad unit more than seen: none at all is no proof that there never will be one.
        arms = confidence.asymptotic_intervals(
            self._difference(s),
            self._variance_of_difference(s, bad=0.5, units=1.0) * design_effect,
            np.where(has_both, _weight(s), 0.0) / design_effect,
            alpha,
        )
        return np.where((s.pairs > 0.0)[..., None], paired, arms)

    @property
    def _harms(self) -> tuple[float, float, float, float]:
        """In the order of `_joint_counts`."""
        return (-self.ratio, 0.0, 1.0, 1.0 - self.ratio)

    def _paired_harm(self, s: BinaryColumns) -> FloatArray:
        return (
            s.candidate_only_rollback
            - self.ratio * s.stable_only_rollback
            + (1.0 - self.ratio) * s.both_rollback
        )

    def _difference(self, s: BinaryColumns) -> FloatArray:
        """Candidate's share of bad units minus stable's times the ratio."""
        candidate = _divided(s.candidate_bad_rollback, s.candidate_units)
        return candidate - self.ratio * _divided(s.stable_bad_rollback, s.stable_units)

    def _variance_of_difference(
        self, s: BinaryColumns, bad: float = 0.0, units: float = 0.0
    ) -> FloatArray:
        """Variance of the arms' difference, each with so many `bad` and `units` added."""
        candidate = _variance(s.candidate_bad_rollback + bad, s.candidate_units + units)
        stable = _variance(s.stable_bad_rollback + bad, s.stable_units + units)
        of_stable = self.ratio**2 * _divided(stable, s.stable_units)
        return _divided(candidate, s.candidate_units) + of_stable


def arms_of(
    statistics: FloatArray, direction: Direction
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return units of the candidate's arm and bad ones among them, and those of stable's."""
    s = _columns(BinaryColumns, statistics)
    if direction == "rollback":
        return s.candidate_units, s.candidate_bad_rollback, s.stable_units, s.stable_bad_rollback
    return s.candidate_units, s.candidate_bad_promotion, s.stable_units, s.stable_bad_promotion


def _joint_counts(
    s: BinaryColumns, direction: Direction
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Pairs that are bad on stable's side alone, on none, on the candidate's alone, on both."""
    stable_only, candidate_only, both = (
        (s.stable_only_rollback, s.candidate_only_rollback, s.both_rollback)
        if direction == "rollback"
        else (s.stable_only_promotion, s.candidate_only_promotion, s.both_promotion)
    )
    return stable_only, s.pairs - stable_only - candidate_only - both, candidate_only, both


@dataclass(frozen=True, slots=True)
class LimitTest:
    """The candidate's share of bad units against a limit, exactly."""

    margin: float
    n_bets: int = UNIT_GRID.size

    @property
    def fields(self) -> tuple[str, ...]:
        return LimitColumns._fields

    @property
    def interval_kind(self) -> object:
        return type(self)

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        return statistics.copy(), np.zeros_like(statistics)

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        counts, gains = self.counts(statistics, direction), self.gains(direction)
        (bad, good), (of_bad, of_good) = counts, gains
        won: FloatArray = bad[..., None] * of_bad + good[..., None] * of_good
        return won

    def counts(self, statistics: FloatArray, direction: Direction) -> tuple[FloatArray, ...]:
        """Return the units of `increments` that pay alike: bad ones and good ones, (...) each."""
        s = _columns(LimitColumns, statistics)
        bad = s.bad_rollback if direction == "rollback" else s.bad_promotion
        return bad, s.units - bad

    def gains(self, direction: Direction) -> FloatArray:
        """Return the log-wealth that each of these units wins, (2, n_bets)."""
        bets = signed_bets(direction, self.margin, low=0.0)
        gains: FloatArray = np.log1p(np.stack([bets * (1.0 - self.margin), bets * -self.margin]))
        return gains

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return _unchanged(statistics, scale)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return no_scale(statistics)

    def units(self, statistics: FloatArray) -> FloatArray:
        return _columns(LimitColumns, statistics).units

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        s = _columns(LimitColumns, statistics)
        return _harm(s.units, s.bad_rollback, _variance(s.bad_rollback, s.units))

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        return np.full((*statistics.shape[:-1], 3), np.nan)

    def observed(self, statistics: FloatArray) -> Observed:
        s = _columns(LimitColumns, statistics)
        share = _ratio(s.bad_rollback, s.units)
        return Observed(int(s.units), share, None, share)

    def interval(
        self,
        statistics: FloatArray,
        sums: FloatArray,
        scale: FloatArray,
        alpha: float,
        design_effect: FloatArray | float = 1.0,
    ) -> FloatArray:
        s = _columns(LimitColumns, statistics)
        counts = np.stack([s.units - s.bad_rollback, s.bad_rollback], axis=-1)
        return confidence.exact_intervals(
            counts, np.array([0.0, 1.0]), alpha / 2, low=0.0, design_effect=design_effect
        )


class Observations(NamedTuple):
    """A batch's observations: how many, their sum, their squares, the variance they show.

    `units` may be fractional: two arms have one observation worth h = nc·ns/(nc+ns) units.
    `spread` estimates the sum of variances from within the batch; of pairs, it is `square`.
    """

    units: FloatArray
    total: FloatArray
    square: FloatArray
    spread: FloatArray


MeanMoments = tuple[FloatArray, FloatArray, FloatArray]
"""Units, total and squares."""


class MeanTerms(NamedTuple):
    """What tells tests of means apart: numbers for one test, or arrays (n_cells,) for many."""

    sign: FloatArray | float
    factor: FloatArray | float
    squared_factor: FloatArray | float
    shift: FloatArray | float
    squared_shift: FloatArray | float
    relative: BoolArray | bool
    margin: FloatArray | float

    @classmethod
    def of_cells(cls, tests: Sequence[MeanTest], of_cell: IntArray) -> MeanTerms:
        """Return those of cells (n_cells,), each of which has the test at its place."""
        terms = zip(*(test.terms for test in tests), strict=True)
        return cls(*(np.array(values)[of_cell] for values in terms))

    def of(self, cells: IntArray) -> MeanTerms:
        """Return those of some cells."""
        return MeanTerms(*(np.asarray(values)[cells] for values in self))

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        """Return the log-wealth won on batches, see `SequentialTest`."""
        observed = self.observations(_columns(MeanColumns, statistics))
        prior, variance = scale[..., 0], _predicted_variance(scale)
        charged = observed.square + 2.0 * observed.units * variance
        is_calibrated = prior > 0.0
        won = staked(observed.total, charged, np.where(is_calibrated, prior, 1.0), direction)
        return np.where(is_calibrated[..., None], won, 0.0)

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the scale before each of T batches, and after the last, see `SequentialTest`."""
        observed = self.observations(_columns(MeanColumns, statistics))
        steps = np.stack([observed.units, observed.spread], axis=-1)
        sums = np.cumsum(np.concatenate([scale[None, ..., 1:], steps]), axis=0)
        units, spread = sums[..., 0], sums[..., 1]
        has_prior = (units >= CALIBRATION_UNITS) & (spread > 0.0)
        first = np.argmax(has_prior, axis=0)[None]
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = np.take_along_axis(spread / units, first, axis=0)
        later = has_prior.any(axis=0) & (
            np.arange(len(units)).reshape(-1, *[1] * (units.ndim - 1)) >= first
        )
        prior = np.where(scale[..., 0] > 0.0, scale[..., 0], np.where(later, guess, 0.0))
        return np.concatenate([prior[..., None], sums], axis=-1)

    def observations(self, s: MeanColumns) -> Observations:
        """Return pairs and arms together; one of them is empty in nearly every batch.

        Where a share of stable's value is tolerated, a batch in which that is 0 tells nothing.
        """
        pairs, arms = self.of_pairs(s), self.of_arms(s)
        both = Observations(*(one + other for one, other in zip(pairs, arms, strict=True)))
        tells = np.logical_not(self.relative) | (s.paired_stable + s.stable_total > 0.0)
        return Observations(*(one * tells for one in both))

    def of_pairs(self, s: MeanColumns) -> Observations:
        """x = candidate - factor · stable - shift, from the sums of both and of their products."""
        factor, shift = self.factor, self.shift
        total = s.paired_candidate - factor * s.paired_stable
        square = (
            s.paired_candidate_squares
            - 2.0 * factor * s.paired_products
            + self.squared_factor * s.paired_stable_squares
        )
        shifted = square - 2.0 * shift * total + s.pairs * self.squared_shift
        square = np.maximum(0.0, shifted)
        return Observations(s.pairs, self.sign * (total - s.pairs * shift), square, square)

    def of_arms(self, s: MeanColumns) -> Observations:
        """One observation h · (mean_c - factor · mean_s - shift) a batch, h = nc·ns/(nc+ns).

        h weighs batches by what they can tell. An empty arm gives nothing.
        """
        weight = _weight(s)
        candidate_mean = _divided(s.candidate_total, s.candidate_units)
        stable_mean = _divided(s.stable_total, s.stable_units)
        total = weight * (candidate_mean - self.factor * stable_mean - self.shift)
        candidate = _within(s.candidate_units, candidate_mean, s.candidate_squares)
        stable = _within(s.stable_units, stable_mean, s.stable_squares)
        noise = _divided(candidate, s.candidate_units)
        noise = noise + self.squared_factor * _divided(stable, s.stable_units)
        return Observations(weight, self.sign * total, total**2, weight**2 * noise)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Σ harm, Σ weight, Σ penalty; before calibration none, as nothing is staked before."""
        s = _columns(MeanColumns, statistics)
        observed, weight = self.observations(s), self._margin_weight(s)
        # Observations are counted from the margin; the interval asks where the harm itself lies.
        harm = observed.total + self.margin * weight
        penalty = observed.square + 2.0 * observed.units * _predicted_variance(scale)
        sums = np.stack(np.broadcast_arrays(harm, weight, penalty), axis=-1)
        return np.where((scale[..., 0] > 0.0)[..., None], sums, 0.0)

    def units(self, statistics: FloatArray) -> FloatArray:
        """The candidate's units, (...); none where stable's value is 0 and its share counts."""
        s = _columns(MeanColumns, statistics)
        return (s.pairs + s.candidate_units) * ~self.lacks_baseline(statistics)

    def lacks_baseline(self, statistics: FloatArray) -> BoolArray:
        """See `MeanTest`."""
        s = _columns(MeanColumns, statistics)
        is_zero = s.paired_stable + s.stable_total <= 0.0
        lacking: BoolArray = self.relative & is_zero & (s.pairs + s.stable_units > 0.0)
        return lacking

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        """Return units, harm and variance of windows, see `SequentialTest`."""
        s = _columns(MeanColumns, statistics)
        arms, pairs = self.of_arms(s), self.of_pairs(s)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = pairs.total / pairs.units
            within = np.maximum(0.0, pairs.square / pairs.units - mean**2)
            of_pairs = pairs.units, pairs.total, within * pairs.units / (pairs.units - 1.0)
            of_arms = arms.units, arms.total, arms.spread / arms.units
        are_arms = (np.minimum(s.candidate_units, s.stable_units) > 1.0) & (s.pairs == 0.0)
        are_pairs = (s.pairs >= 2.0) & (s.candidate_units == 0.0)
        parts = [
            np.where(are_arms, arm, np.where(are_pairs, pair, np.nan))
            for arm, pair in zip(of_arms, of_pairs, strict=True)
        ]
        return np.stack(parts, axis=-1)

    def moments(self, statistics: FloatArray) -> tuple[MeanMoments, MeanMoments, MeanMoments]:
        """Return units, totals and squares of pairs, the candidate's outcomes and stable's.

        Where the candidate's own outcomes are judged, theirs are those of pairs.
        """
        s = _columns(MeanColumns, statistics)
        products = conversations.pairs_of_values(
            self.factor, self.squared_factor, s.paired_candidate_squares, s.paired_stable_squares,
            2.0 * s.paired_products,
        )  # fmt: skip
        paired = s.pairs, s.paired_candidate - self.factor * s.paired_stable, products
        is_one_sided = np.equal(self.factor, 0.0)
        arm = s.candidate_units, s.candidate_total, s.candidate_squares
        candidate = [np.where(is_one_sided, *parts) for parts in zip(paired, arm, strict=True)]
        stable = s.stable_units, s.stable_total, s.stable_squares
        return paired, (candidate[0], candidate[1], candidate[2]), stable

    def _margin_weight(self, s: MeanColumns) -> FloatArray:
        """By what the margin is multiplied in a batch's total."""
        arms = _weight(s)
        stable_mean = _divided(s.stable_total, s.stable_units)
        relative = s.paired_stable + arms * stable_mean
        return np.where(self.relative, relative, s.pairs + arms)


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Means without a bound: harm x = sign · (candidate - factor · stable - shift)."""

    sign: float = 1.0
    factor: float = 1.0
    shift: float = 0.0
    relative: bool = False
    n_bets: int = STAKES.size

    @property
    def fields(self) -> tuple[str, ...]:
        return MeanColumns._fields

    @property
    def interval_kind(self) -> object:
        return type(self)

    @property
    def margin(self) -> float:
        """The harm tolerated, as a share of stable where relative."""
        return self.sign * ((self.factor - 1.0) if self.relative else self.shift)

    @property
    def terms(self) -> MeanTerms:
        """What tells this test from others."""
        factor, shift = self.factor, self.shift
        return MeanTerms(self.sign, factor, factor**2, shift, shift**2, self.relative, self.margin)

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        s = _columns(MeanColumns, statistics)
        enough = np.minimum(s.candidate_units, s.stable_units) >= MEAN_ARM_UNITS
        return _split(statistics, enough, self.fields.index("candidate_units"))

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        return self.terms.increments(statistics, direction, scale)

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return self.terms.scales_before(statistics, scale)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return self.terms.interval_sums(statistics, scale)

    def units(self, statistics: FloatArray) -> FloatArray:
        return self.terms.units(statistics)

    def lacks_baseline(self, statistics: FloatArray) -> BoolArray:
        """Whether stable's value is 0 where a share of it is tolerated: nothing can be judged."""
        return self.terms.lacks_baseline(statistics)

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        return self.terms.window_harm(statistics)

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        s = _columns(MeanColumns, statistics)
        units = s.pairs + s.stable_units
        total = s.paired_stable + s.stable_total
        squares = s.paired_stable_squares + s.stable_squares
        return _harm(units, total, _within(units, _divided(total, units), squares))

    def observed(self, statistics: FloatArray) -> Observed:
        s = _columns(MeanColumns, statistics)
        units = int(s.pairs + s.candidate_units)
        candidate = _ratio(s.paired_candidate + s.candidate_total, units)
        stable = _ratio(s.paired_stable + s.stable_total, s.pairs + s.stable_units)
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
        self,
        statistics: FloatArray,
        sums: FloatArray,
        scale: FloatArray,
        alpha: float,
        design_effect: FloatArray | float = 1.0,
    ) -> FloatArray:
        return confidence.mean_intervals(
            sums[..., 0],
            sums[..., 1],
            sums[..., 2],
            scale[..., 0],
            alpha / 2,
            design_effect=design_effect,
        )


@dataclass(frozen=True, slots=True)
class _GradesTest:
    """Pairs by tenths of what an evaluator says is the difference of two answers, exactly.

    Harm is stable's grade less the other answer's, times `unit`: where one answer is preferred,
    half of the difference, so that it is a share of preferences below 50 %.
    """

    margin: float
    unit: float = 1.0

    grades: ClassVar[slice]
    """Which of the statistics are judged."""

    @property
    def n_bets(self) -> int:
        return SIGNED_GRID.size

    @property
    def fields(self) -> tuple[str, ...]:
        return GRADED_FIELDS

    @property
    def interval_kind(self) -> object:
        return type(self), self.unit

    @property
    def harms(self) -> FloatArray:
        """Of a pair with each difference, (21,)."""
        harms: FloatArray = -self.unit * DIFFERENCES
        return harms

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        return statistics.copy(), np.zeros_like(statistics)

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        return _won(self.counts(statistics, direction), self.gains(direction))

    def counts(self, statistics: FloatArray, direction: Direction) -> tuple[FloatArray, ...]:
        """Return the units of `increments` that pay alike, (...) each."""
        return tuple(np.moveaxis(statistics[..., self.grades], -1, 0))

    def gains(self, direction: Direction) -> FloatArray:
        """Return the log-wealth that each of these units wins, (21, n_bets)."""
        bets = signed_bets(direction, self.margin, low=-self.unit, high=self.unit)
        gains: FloatArray = np.log1p(np.multiply.outer(self.harms - self.margin, bets))
        return gains

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return _unchanged(statistics, scale)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        return no_scale(statistics)

    def units(self, statistics: FloatArray) -> FloatArray:
        units: FloatArray = statistics[..., self.grades].sum(axis=-1)
        return units

    def moments(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return units, their summed harm and its squares, (...) each.

        Added up place by place: the last digit of a product of matrices depends on their size.
        """
        grades = statistics[..., self.grades]
        total, squares = ((grades * values).sum(axis=-1) for values in (self.harms, self.harms**2))
        return grades.sum(axis=-1), total, squares

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        units, total, squares = self.moments(statistics)
        return _harm(units, total, _within(units, _divided(total, units), squares))

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        return np.full((*statistics.shape[:-1], 3), np.nan)

    def interval(
        self,
        statistics: FloatArray,
        sums: FloatArray,
        scale: FloatArray,
        alpha: float,
        design_effect: FloatArray | float = 1.0,
    ) -> FloatArray:
        return confidence.exact_intervals(
            statistics[..., self.grades],
            self.harms,
            alpha / 2,
            low=-self.unit,
            high=self.unit,
            design_effect=design_effect,
        )

    def observed(self, statistics: FloatArray) -> Observed:
        """Return shares of preferences, of which stable has 50 %."""
        units = float(self.units(statistics))
        if not units:
            return Observed(0, None, None, None)
        harm = float(statistics[self.grades] @ self.harms) / units
        return Observed(int(units), 0.5 + harm, 0.5, harm)


@dataclass(frozen=True, slots=True)
class GradedTest(_GradesTest):
    """What an evaluator says of the candidate's answers and stable's."""

    is_scored: bool = False
    """Whether levels are scores, else shares of preferences, of which stable has 50 %."""

    grades: ClassVar[slice] = GRADES

    def observed(self, statistics: FloatArray) -> Observed:
        shares = _GradesTest.observed(self, statistics)
        if not self.is_scored or not shares.units:
            return shares
        stable, candidate = (
            1.0 - float(statistics[place_of(name)]) / shares.units
            for name in ("score_stable_sum", "score_candidate_sum")
        )
        return Observed(shares.units, candidate, stable, candidate - stable)


@dataclass(frozen=True, slots=True)
class NoiseTest(_GradesTest):
    """Whether an evaluator tells two answers of stable apart, by more than `margin` either way.

    Two runs of one model are equally good on average, so who prefers one of them on the whole sees
    something else than the answers. Nothing is ever promoted by it.
    """

    grades: ClassVar[slice] = NOISE

    @property
    def n_bets(self) -> int:
        return 2 * SIGNED_GRID.size

    def gains(self, direction: Direction) -> FloatArray:
        """Return the log-wealth that each unit wins, (21, n_bets): half of the bets either way."""
        if direction == "promotion":
            return np.zeros((DIFFERENCES.size, self.n_bets))
        bets = signed_bets("rollback", self.margin, low=-self.unit, high=self.unit)
        either = [np.multiply.outer(sign * self.harms - self.margin, bets) for sign in (1.0, -1.0)]
        gains: FloatArray = np.log1p(np.concatenate(either, axis=-1))
        return gains


AnyTest = BinaryTest | LimitTest | MeanTest | GradedTest | NoiseTest


def _won(counts: tuple[FloatArray, ...], gains: FloatArray) -> FloatArray:
    """Return what `counts` of units (...) win in all, (..., n_bets), each a row of `gains`."""
    won = np.zeros((*counts[0].shape, gains.shape[-1]))
    for count, gain in zip(counts, gains, strict=True):
        won += count[..., None] * gain
    return won


def _columns(kind: type[C], statistics: FloatArray) -> C:
    return kind(*(statistics[..., place] for place in range(len(kind._fields))))


def _split(
    statistics: FloatArray, is_ready: BoolArray, arms_from: int
) -> tuple[FloatArray, FloatArray]:
    """Pairs never wait; the fields of the arms, from a place on, wait until they are ready."""
    ready, waiting = statistics.copy(), np.zeros_like(statistics)
    is_waiting = ~is_ready[..., None]
    if not (is_waiting & (statistics[..., arms_from:] != 0.0)).any():
        return ready, waiting
    ready[..., arms_from:] = np.where(is_waiting, 0.0, statistics[..., arms_from:])
    waiting[..., arms_from:] = np.where(is_waiting, statistics[..., arms_from:], 0.0)
    return ready, waiting


def _unchanged(statistics: FloatArray, scale: FloatArray) -> FloatArray:
    return np.broadcast_to(scale, (len(statistics) + 1, *scale.shape))


def _harm(units: FloatArray, total: FloatArray, variance: FloatArray) -> FloatArray:
    """Units, total and variance of one, (..., 3); NaN of fewer than two."""
    parts = [np.where(units < 2.0, np.nan, part) for part in (units, total, variance)]
    return np.stack(parts, axis=-1)


def _predicted_variance(scale: FloatArray) -> FloatArray:
    """Of one unit, by earlier batches, of which the first guess is worth `PRIOR_UNITS`."""
    prior, units, spread = scale[..., 0], scale[..., 1], scale[..., 2]
    predicted: FloatArray = (PRIOR_UNITS * prior + spread) / (PRIOR_UNITS + units)
    return predicted


def _weight(s: BinaryColumns | MeanColumns) -> FloatArray:
    """How many pairs two arms are worth; none of an empty arm."""
    return _divided(s.candidate_units * s.stable_units, s.candidate_units + s.stable_units)


def _within(units: FloatArray, mean: FloatArray, squares: FloatArray) -> FloatArray:
    """Variance of one unit around its arm's mean; zero below two units."""
    around = np.maximum(0.0, squares - units * mean**2)
    return np.where(units < 2.0, 0.0, _divided(around, units - 1.0))


def _variance(bad: FloatArray, units: FloatArray) -> FloatArray:
    """Unbiased variance of a yes or no; 0 of fewer than two."""
    share = _divided(bad, units)
    return np.where(units > 1.0, _divided(share * (1.0 - share) * units, units - 1.0), 0.0)


def _divided(above: FloatArray, below: FloatArray) -> FloatArray:
    """0 where there is nothing to divide by."""
    return above / np.where(below > 0.0, below, 1.0) * (below > 0.0)


def _ratio(count: FloatArray, units: FloatArray | int) -> float | None:
    return float(count / units) if units > 0 else None
