"""Rules: how the numbers of a reading become evidence, one for each kind of test.

`BinaryTest` compares two sides by a yes or no, `LimitTest` holds the candidate's own share against
a limit, `MeanTest` compares means without a bound. All speak of harm: positive is worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from understudy.analyzers.guardrails.statistics import (
    BINARY_WIDTH,
    LIMIT_WIDTH,
    MEAN_WIDTH,
    Reading,
)
from understudy.analyzers.sequential import (
    Arm,
    Arms,
    Batch,
    Direction,
    Moments,
    Scale,
    confidence,
    exact,
    signed_bets,
    two_arm,
    unbounded,
)
from understudy.analyzers.sequential.bets import SIGNED_GRID, UNIT_GRID, FloatArray
from understudy.analyzers.sequential.confidence import Interval

Counts = Sequence[int]

MEAN_ARM_UNITS: Final = 20
"""Units that each arm needs before their means are compared: a variance must be estimable."""
NOWHERE: Final[Interval] = (-np.inf, np.inf)


class Observed(NamedTuple):
    """What was seen, in the metric's natural unit; None where there is nothing or no such side.

    `harm` is what is held against the margin, positive where the candidate is worse.
    """

    units: int
    candidate: float | None
    stable: float | None
    harm: float | None


class Scatter(NamedTuple):
    """Units, their summed harm and the variance of one, for overdispersion."""

    units: float
    total: float
    variance: float


class Shown(NamedTuple):
    """What a mean's interval needs, added up over batches: Σ harm, Σ weight, Σ penalty."""

    total: float = 0.0
    weight: float = 0.0
    penalty: float = 0.0


class Rule(Protocol):
    """What a check's evidence is made by."""

    @property
    def width(self) -> int:
        """Numbers in a reading."""

    @property
    def n_bets(self) -> int:
        """Stakes in each direction."""

    @property
    def margin(self) -> float:
        """The harm tolerated."""

    def split(self, counts: Counts) -> tuple[Reading, Reading]:
        """What can be staked on now, and what must wait for units of the other arm."""

    def increments(self, counts: Counts, direction: Direction, scale: Scale) -> FloatArray:
        """Log-wealth won on a batch, (n_bets,)."""

    def seen(self, counts: Counts, scale: Scale) -> Scale:
        """The scale after a batch."""

    def shown(self, counts: Counts, scale: Scale, so_far: Shown) -> Shown:
        """What the interval rests on, after a batch."""

    def units(self, counts: Counts) -> int:
        """Candidate's units."""

    def scatter(self, counts: Counts) -> Scatter | None:
        """How a window's harm lies; None where that needs no looking after."""

    def observed(self, counts: Counts) -> Observed:
        """What was seen."""

    def interval(self, counts: Counts, shown: Shown, scale: Scale, alpha: float) -> Interval:
        """Where the harm lies, `alpha` on both sides together."""


@dataclass(frozen=True, slots=True)
class BinaryTest:
    """Both sides, a yes or no: discordant pairs exactly, separate arms by all their pairings."""

    margin: float
    width: int = BINARY_WIDTH
    n_bets: int = SIGNED_GRID.size

    def split(self, counts: Counts) -> tuple[Reading, Reading]:
        if counts[3] and counts[6]:
            return tuple(counts), (0,) * BINARY_WIDTH
        return (*counts[:3], 0, 0, 0, 0, 0), (0, 0, 0, *counts[3:])

    def increments(self, counts: Counts, direction: Direction, scale: Scale) -> FloatArray:
        bets = signed_bets(direction, self.margin)
        pairs = exact.paired_counts(*counts[:3])
        won = exact.log_increments(pairs, exact.PAIRED_VALUES, self.margin, bets)
        if counts[3] and counts[6]:
            won = won + two_arm.log_increments(self._arms(counts, direction), self.margin, bets)
        return won

    def seen(self, counts: Counts, scale: Scale) -> Scale:
        return scale

    def shown(self, counts: Counts, scale: Scale, so_far: Shown) -> Shown:
        return so_far

    def units(self, counts: Counts) -> int:
        return counts[0] + counts[3]

    def scatter(self, counts: Counts) -> Scatter | None:
        pairs, stable_only, candidate_only, cu, cb, _, su, sb = counts
        if cu and su:
            units = cu * su / (cu + su)
            spread = _variance(cb, cu) / cu + _variance(sb, su) / su
            return Scatter(units, units * (cb / cu - sb / su), units * spread)
        if pairs < 2:
            return None
        mean = (candidate_only - stable_only) / pairs
        variance = (candidate_only + stable_only) / pairs - mean**2
        return Scatter(pairs, candidate_only - stable_only, variance * pairs / (pairs - 1))

    def observed(self, counts: Counts) -> Observed:
        pairs, stable_only, candidate_only, cu, cb, _, su, sb = counts
        units = self.units(counts)
        if cu and su:
            return Observed(units, cb / cu, sb / su, cb / cu - sb / su)
        harm = (candidate_only - stable_only) / pairs if pairs else None
        return Observed(units, cb / cu if cu else None, sb / su if su else None, harm)

    def interval(self, counts: Counts, shown: Shown, scale: Scale, alpha: float) -> Interval:
        pairs, stable_only, candidate_only, cu, cb, _, su, sb = counts
        if pairs:
            paired = exact.paired_counts(pairs, stable_only, candidate_only)
            return confidence.exact_interval(paired, exact.PAIRED_VALUES, alpha / 2)
        if not (cu and su):
            return NOWHERE
        # Half a bad unit more than seen: none at all is no proof that there never will be one.
        variance = _variance(cb + 0.5, cu + 1) / cu + _variance(sb + 0.5, su + 1) / su
        units = cu * su / (cu + su)
        return confidence.asymptotic_interval(cb / cu - sb / su, variance, units, alpha)

    def _arms(self, counts: Counts, direction: Direction) -> Arms:
        _, _, _, cu, as_rollback, as_promotion, su, sb = counts
        bad = as_rollback if direction == "rollback" else as_promotion
        return Arms(Arm(cu, bad), Arm(su, sb))


@dataclass(frozen=True, slots=True)
class LimitTest:
    """The candidate's share of bad units against a limit, exactly."""

    margin: float
    width: int = LIMIT_WIDTH
    n_bets: int = UNIT_GRID.size

    def split(self, counts: Counts) -> tuple[Reading, Reading]:
        return tuple(counts), (0,) * LIMIT_WIDTH

    def increments(self, counts: Counts, direction: Direction, scale: Scale) -> FloatArray:
        units, as_rollback, as_promotion = counts
        bad = as_rollback if direction == "rollback" else as_promotion
        bets = signed_bets(direction, self.margin, low=0.0)
        outcomes = exact.limit_counts(units, bad)
        return exact.log_increments(outcomes, exact.LIMIT_VALUES, self.margin, bets)

    def seen(self, counts: Counts, scale: Scale) -> Scale:
        return scale

    def shown(self, counts: Counts, scale: Scale, so_far: Shown) -> Shown:
        return so_far

    def units(self, counts: Counts) -> int:
        return counts[0]

    def scatter(self, counts: Counts) -> Scatter | None:
        units, bad, _ = counts
        return Scatter(units, bad, _variance(bad, units)) if units > 1 else None

    def observed(self, counts: Counts) -> Observed:
        units, bad, _ = counts
        share = bad / units if units else None
        return Observed(units, share, None, share)

    def interval(self, counts: Counts, shown: Shown, scale: Scale, alpha: float) -> Interval:
        outcomes = exact.limit_counts(counts[0], counts[1])
        return confidence.exact_interval(outcomes, exact.LIMIT_VALUES, alpha / 2, low=0.0, high=1.0)


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Means without a bound: harm x = sign · (candidate - factor · stable - shift).

    `tick` is the size of the whole numbers that a reading counts in; `shift` is in natural units.
    """

    tick: float
    sign: float = 1.0
    factor: float = 1.0
    shift: float = 0.0
    relative: bool = False
    width: int = MEAN_WIDTH
    n_bets: int = unbounded.STAKES.size

    @property
    def margin(self) -> float:
        """What is tolerated, as a share of stable where relative."""
        return self.sign * ((self.factor - 1.0) if self.relative else self.shift)

    def split(self, counts: Counts) -> tuple[Reading, Reading]:
        if min(counts[6], counts[9]) >= MEAN_ARM_UNITS:
            return tuple(counts), (0,) * MEAN_WIDTH
        return (*counts[:6], *(0,) * 6), (*(0,) * 6, *counts[6:])

    def increments(self, counts: Counts, direction: Direction, scale: Scale) -> FloatArray:
        return unbounded.log_increments(self._batch(counts), scale, direction)

    def seen(self, counts: Counts, scale: Scale) -> Scale:
        return scale.seen(self._batch(counts))

    def shown(self, counts: Counts, scale: Scale, so_far: Shown) -> Shown:
        """Nothing before the scale is calibrated, as nothing is staked before."""
        if scale.prior <= 0.0:
            return so_far
        batch, weight = self._batch(counts), self._weight(counts)
        # The batch stands at the policy's margin; the interval asks where the harm itself lies.
        total = batch.total + self.margin * weight
        return Shown(
            so_far.total + total,
            so_far.weight + weight,
            so_far.penalty + unbounded.penalty(batch, scale),
        )

    def units(self, counts: Counts) -> int:
        return counts[0] + counts[6]

    def scatter(self, counts: Counts) -> Scatter | None:
        pairs = counts[0]
        if min(counts[6], counts[9]) > 1 and not pairs:
            units, total, _, spread = self._arms(counts)
            return Scatter(units, total, spread / units)
        if pairs < 2 or counts[6]:
            return None
        batch = self._batch(counts)
        mean = batch.total / batch.units
        variance = max(0.0, batch.square / batch.units - mean**2)
        return Scatter(batch.units, batch.total, variance * batch.units / (batch.units - 1))

    def observed(self, counts: Counts) -> Observed:
        candidate = _mean(counts[1] + counts[7], counts[0] + counts[6], self.tick)
        stable = _mean(counts[2] + counts[10], counts[0] + counts[9], self.tick)
        units = self.units(counts)
        if self.factor == 0.0:
            return Observed(units, candidate, None, None if candidate is None else
                            self.sign * candidate)  # fmt: skip
        if candidate is None or stable is None:
            return Observed(units, candidate, stable, None)
        harm = self.sign * (candidate - stable)
        if not self.relative:
            return Observed(units, candidate, stable, harm)
        return Observed(units, candidate, stable, harm / stable if stable > 0.0 else None)

    def interval(self, counts: Counts, shown: Shown, scale: Scale, alpha: float) -> Interval:
        return confidence.mean_interval(
            shown.total, shown.weight, shown.penalty, scale.prior, alpha / 2
        )

    def _weight(self, counts: Counts) -> float:
        """By what the margin is multiplied in a batch's total."""
        n, _, stable, *_ = counts
        cu, su = counts[6], counts[9]
        arms = cu * su / (cu + su) if cu and su else 0.0
        if not self.relative:
            return n + arms
        return stable * self.tick + (arms * counts[10] / su * self.tick if arms else 0.0)

    def _batch(self, counts: Counts) -> Batch:
        """Both layouts together; one of them is empty in nearly every batch."""
        pairs, arms = self._pairs(counts), self._arms(counts)
        return Batch(*(mine + theirs for mine, theirs in zip(pairs, arms, strict=True)))

    def _pairs(self, counts: Counts) -> tuple[float, float, float, float]:
        n = counts[0]
        c, s = (value * self.tick for value in counts[1:3])
        cc, cs, ss = (value * self.tick**2 for value in counts[3:6])
        batch = unbounded.paired_ratio(n, c, s, cc, cs, ss, self.factor - 1.0)
        total = batch.total - n * self.shift
        square = max(0.0, batch.square - 2.0 * self.shift * batch.total + n * self.shift**2)
        return batch.units, self.sign * total, square, square

    def _arms(self, counts: Counts) -> tuple[float, float, float, float]:
        if not (counts[6] and counts[9]):
            return 0.0, 0.0, 0.0, 0.0
        candidate, stable = (
            Moments(counts[at], counts[at + 1] * self.tick, counts[at + 2] * self.tick**2)
            for at in (6, 9)
        )
        batch = unbounded.unpaired(candidate, stable, self.factor, self.shift)
        return batch.units, self.sign * batch.total, batch.square, batch.spread


def _variance(bad: float, units: float) -> float:
    """Unbiased variance of a yes or no; 0 of fewer than two."""
    share = bad / units if units else 0.0
    return share * (1.0 - share) * units / (units - 1) if units > 1 else 0.0


def _mean(total: int, units: int, tick: float) -> float | None:
    return total * tick / units if units else None
