"""Two shares of bad cases, paired: exact tests of harm beyond a margin for a fixed sample.

Of n pairs, c are bad on the candidate's side alone and b on stable's alone; (c - b) / n estimates
the harm. At a margin of 0 a test may condition on b + c (McNemar, 1947). At any other margin it
must not: how often the sides disagree is a nuisance that the tolerated harm does not determine, and
conditioning as if it did rejects falsely in 7 % of samples of 200 pairs at a margin of 2 points and
in 95 % of those of 2 000. So the p-value here is the largest chance, over all rates of disagreement
that the data leave plausible, of a sample that points at least as much the same way, by the score
statistic. It is exact: never too small, however few the pairs.

Sources: Barnard (1945) for the maximum over the nuisance; Berger and Boos (1994) for restricting it
to an interval of confidence 1 - β and adding β; Tango (1998) for statistic and interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.fixed_sample.alike_cases import design_effect, fewer, more
from understudy.analyzers.fixed_sample.binomial import chernoff_interval
from understudy.analyzers.fixed_sample.normal import normal_quantile, normal_tail
from understudy.analyzers.guardrails.column_readers import BinaryColumns
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.log_factorial import log_factorial

GRID: Final = 24
"""Rates of disagreement at which the chance is computed: half a standard error apart."""
BETA_SHARE: Final = 1e-3
"""Of the threshold that a p-value is for: what the interval of the nuisance may cost."""
_REACH: Final = 6.0
"""Standard deviations around a count's mean beyond which its chances add less than 1e-8."""
_TIE: Final = 1e-9
"""By which statistics of equal samples may differ."""
_MOST_CELLS: Final = 400_000
"""Samples that are summed over one by one; 60 000 pairs a third of which disagree have more. Beyond
that the score statistic is normal to three digits even in the tail."""
_STEPS: Final = 50
"""Of a bisection."""


FEWEST_PAIRS: Final = 12
"""Of fewer, all could be bad on the candidate's side alone by chance: one in 2^12 is as likely as
what a guardrail has of the error of a rollback."""
POWER: Final = 0.8
"""Chance with which so many cases would show that models which are alike are within the margin."""


class PairCounts(NamedTuple):
    """Pairs, and those that are bad on one side alone."""

    pairs: int
    stable_only: int
    candidate_only: int

    @property
    def harm(self) -> float:
        """The candidate's share of bad cases less stable's."""
        return (self.candidate_only - self.stable_only) / self.pairs if self.pairs else 0.0

    def possible(self) -> PairCounts:
        """The same where rounding left more disagreements than pairs."""
        if self.stable_only + self.candidate_only <= self.pairs:
            return self
        return PairCounts(self.stable_only + self.candidate_only, *self[1:])

    def turned(self) -> PairCounts:
        """The same with the sides exchanged."""
        return PairCounts(self.pairs, self.candidate_only, self.stable_only)


@dataclass(frozen=True, slots=True)
class PairedRateTest:
    """Two shares of bad cases, paired, as `FixedTest` has it."""

    margin: float
    cases: int
    design_effect: float
    for_harm: PairCounts
    """Independent ones, rounded so that harm looks no larger."""
    for_within: PairCounts
    """Independent ones, rounded so that harm looks no smaller."""
    note: str = ""

    @classmethod
    def of(cls, by_unit: FloatArray, margin: float) -> PairedRateTest:
        """Of the sums of `BinaryColumns` by unit, (n_units, k)."""
        units = BinaryColumns(*by_unit.T)
        sums = units.candidate_only_rollback - units.stable_only_rollback
        disagreeing = units.candidate_only_rollback + units.stable_only_rollback
        effect = design_effect(units.pairs, sums, float(disagreeing.sum()))
        s = BinaryColumns(*by_unit.sum(axis=0))
        pairs = fewer(float(s.pairs), effect)
        harm = PairCounts(
            pairs,
            more(float(s.stable_only_rollback), effect),
            fewer(float(s.candidate_only_rollback), effect),
        )
        within = PairCounts(
            pairs,
            fewer(float(s.stable_only_promotion), effect),
            min(pairs, more(float(s.candidate_only_promotion), effect)),
        )
        return cls(margin, int(s.pairs), effect, harm.possible(), within.possible())

    @property
    def is_testable(self) -> bool:
        """Whether there are enough cases to show harm."""
        return self.for_harm.pairs >= FEWEST_PAIRS

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of harm beyond the margin."""
        return p_harm(self.for_harm, self.margin, threshold)

    def p_within(self, threshold: float) -> float:
        """Return the p-value of harm within the margin."""
        return p_within(self.for_within, self.margin, threshold)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the harm lies."""
        return interval(self.for_harm, alpha)

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return the harm that would have been shown."""
        return smallest_harm_found(self.for_harm, self.margin, threshold)

    def cases_needed(self, threshold: float) -> int | None:
        """Return in how many cases models that are alike would be shown to be within the margin."""
        needed = pairs_needed(self.for_within, self.margin, threshold, POWER)
        return None if needed is None else math.ceil(needed * self.design_effect)


def p_harm(counts: PairCounts, margin: float, threshold: float) -> float:
    """Return the p-value of harm beyond `margin`: for a decision at `threshold`.

    The interval of the nuisance costs a thousandth of the threshold, below which it cannot fall.
    """
    if counts.pairs == 0 or counts.harm <= margin:
        return 1.0
    return _p_beyond(counts, margin, threshold * BETA_SHARE)


def p_within(counts: PairCounts, margin: float, threshold: float) -> float:
    """Return the p-value of harm below `margin`: for a decision at `threshold`."""
    if counts.pairs == 0 or counts.harm >= margin:
        return 1.0
    return _p_beyond(counts.turned(), -margin, threshold * BETA_SHARE)


def interval(counts: PairCounts, alpha: float) -> tuple[float, float]:
    """Return where the harm lies, `alpha` for both ends together: where the score would not reject.

    Source: Tango (1998), *Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design*.
    """
    if counts.pairs == 0:
        return -1.0, 1.0
    z = normal_quantile(1.0 - alpha / 2)
    high = _last(lambda harm: score(counts, harm) >= -z, counts.harm, 1.0)
    low = _last(lambda harm: score(counts, harm) <= z, counts.harm, -1.0)
    return low, high


def smallest_harm_found(counts: PairCounts, margin: float, threshold: float) -> float | None:
    """Return the harm that would have been shown with as many pairs; None where none would.

    What stable alone has bad is taken as seen.
    """

    def with_bad(candidate_only: int) -> PairCounts:
        return PairCounts(counts.pairs, counts.stable_only, candidate_only)

    low, high = counts.stable_only, counts.pairs - counts.stable_only
    if high <= low:
        return None
    candidates = np.arange(low, high + 1, dtype=np.float64)
    stable_only = np.full_like(candidates, counts.stable_only)
    scores = _scores(float(counts.pairs), stable_only, candidates, margin)
    # The score is nearly normal, so the first one that is enough lies close by.
    bad = low + int(np.searchsorted(scores, normal_quantile(1.0 - threshold)))
    while bad > low and p_harm(with_bad(bad - 1), margin, threshold) <= threshold:
        bad -= 1
    while bad <= high and p_harm(with_bad(bad), margin, threshold) > threshold:
        bad += 1
    return with_bad(bad).harm if bad <= high else None


def pairs_needed(counts: PairCounts, margin: float, threshold: float, power: float) -> int | None:
    """Return about how many pairs show models that are alike to be within `margin`.

    They disagree as often as was seen; where none did, as often as is plausible, in one of n pairs.
    """
    if margin <= 0.0 or counts.pairs == 0:
        return None
    disagree = max(counts.stable_only + counts.candidate_only, 1) / counts.pairs
    z = normal_quantile(1.0 - threshold) + normal_quantile(power)
    # Without any disagreement, so many good pairs in a row are needed.
    in_a_row = -math.log(threshold) / margin
    return math.ceil(max(z**2 * disagree / margin**2, in_a_row))


def score(counts: PairCounts, margin: float) -> float:
    """Return Tango's score statistic: standard errors by which the harm exceeds `margin`."""
    return float(
        _scores(
            float(counts.pairs),
            np.array([counts.stable_only], np.float64),
            np.array([counts.candidate_only], np.float64),
            margin,
        )[0]
    )


def _scores(n: float, b: FloatArray, c: FloatArray, margin: float) -> FloatArray:
    """The statistic of samples: excess over its standard error where the harm equals `margin`."""
    # Restricted maximum likelihood of how often stable alone is bad (Tango, 1998).
    linear = -b - c + (2.0 * n - c + b) * margin
    constant = -b * margin * (1.0 - margin)
    root = np.sqrt(np.maximum(linear**2 - 8.0 * n * constant, 0.0))
    stable_only = np.maximum((root - linear) / (4.0 * n), max(0.0, -margin))
    variance = n * np.maximum(2.0 * stable_only + margin * (1.0 - margin), 0.0)
    excess = c - b - n * margin
    with np.errstate(divide="ignore", invalid="ignore"):
        result: FloatArray = np.where(
            variance > 0.0, excess / np.sqrt(variance), np.sign(excess) * np.inf
        )
    return np.where(np.abs(excess) < _TIE, 0.0, result)


@lru_cache(maxsize=4_096)
def _p_beyond(counts: PairCounts, margin: float, beta: float) -> float:
    """The largest chance of a score as high, over plausible rates of disagreement, plus `beta`."""
    n, b, c = counts
    low, high = chernoff_interval(b + c, n, beta)
    low = max(low, abs(margin))
    if low >= high:  # so few disagreements do not go with so much harm
        return beta
    rates = np.linspace(low, high, GRID)
    stable, candidate = (rates - margin) / 2.0, (rates + margin) / 2.0
    of_stable, of_candidate = _reach(n, stable), _reach(n, candidate)
    if of_stable.size * of_candidate.size > _MOST_CELLS:
        return beta + normal_tail(score(counts, margin))
    stable_only, candidate_only = np.meshgrid(of_stable, of_candidate, indexing="ij")
    is_possible = stable_only + candidate_only <= n
    scores = _scores(float(n), stable_only, candidate_only, margin)
    extreme = is_possible & (scores >= score(counts, margin) - _TIE)
    chances = _chances(n, stable_only[extreme], candidate_only[extreme], stable, candidate)
    return min(1.0, float(chances.max()) + beta)


def _reach(n: int, shares: FloatArray) -> FloatArray:
    """Counts that can turn up at some of these shares."""
    deviation = _REACH * np.sqrt(n * shares * (1.0 - shares)) + _REACH**2 / 3.0
    low = max(0, math.floor((n * shares - deviation).min()))
    return np.arange(low, min(n, math.ceil((n * shares + deviation).max())) + 1, dtype=np.float64)


def _chances(
    n: int, b: FloatArray, c: FloatArray, stable: FloatArray, candidate: FloatArray
) -> FloatArray:
    """Chance of the samples (b, c) together, for each pair of shares, (len(stable),)."""
    ways = log_factorial(n) - log_factorial(b) - log_factorial(c) - log_factorial(n - b - c)
    found = np.zeros(len(stable))
    for place, (q, p) in enumerate(zip(stable.tolist(), candidate.tolist(), strict=True)):
        neither = max(0.0, 1.0 - q - p)
        logs = ways + _times_log(b, q) + _times_log(c, p) + _times_log(n - b - c, neither)
        found[place] = np.exp(logs).sum()
    return found


def _times_log(count: FloatArray, share: float) -> FloatArray:
    """count · log(share), 0 for no count."""
    if share > 0.0:
        return count * math.log(share)
    return np.where(count > 0.0, -np.inf, 0.0)


def _last(holds: Callable[[float], bool], first: float, end: float) -> float:
    """Return how far towards `end` a condition goes on holding that holds at `first`."""
    if holds(end):
        return end
    inside, outside = first, end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
