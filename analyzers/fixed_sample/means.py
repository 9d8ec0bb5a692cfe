"""Means without a bound, such as costs, in a fixed sample.

Nothing exact exists: whatever the sample shows, one case in a thousand that it lacks may cost more
than all others together. Student's t is too bold where the values lean to one side, and Hall's
correction for that is too bold where they do not, so harm counts as shown or excluded only where
both say so. A mean is not said to be within its limit where it hangs on its largest few cases, nor
from fewer cases than show what one in a hundred of them costs.

Sources: Hall (1992), *On the removal of skewness by transformation*; what it comes to is simulated
in `benchmarks/fixed_sample.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from understudy.analyzers.fixed_sample.normal import normal_quantile, normal_tail, student_tail
from understudy.analyzers.guardrails.column_readers import MeanColumns
from understudy.analyzers.guardrails.sequential_tests import MeanTest
from understudy.analyzers.sequential.bets import FloatArray

FEWEST_FOR_HARM: Final = 30
"""Units below which a skew cannot be told from chance."""
FEWEST_FOR_WITHIN: Final = 300
"""Units of which 95 in 100 samples show what one unit in a hundred costs: 0.99^300 = 0.05."""
LARGEST_SHARE: Final = 0.1
"""Of the spread: where one unit has more, a mean is not shown to be small. Simulated, that keeps
false promotions near 5 % from 300 units on, with log-normal and Pareto values alike."""
REMAINING_SKEW: Final = 1.25
"""By which p-values are raised: what simulated false promotions exceeded the nominal 5 % by."""
POWER: Final = 0.8
"""Chance with which so many cases would show that models which are alike are within the margin."""
NO_BASELINE: Final = (
    "stable's is 0, and no limit follows from a share of 0; write one that is not relative"
)
NO_CONTROL: Final = "there is no second run of stable to hold it against"
_ROUNDING: Final = 1e-12
"""Of a mean: a spread below that is what floating point leaves."""
_STEPS: Final = 50
"""Of a bisection."""
_WIDEST: Final = 1e6
"""Of an interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class FixedMeanTest:
    """A mean on both sides, or the candidate's own, as `FixedTest` has it."""

    test: MeanTest
    cases: int
    sizes: FloatArray
    candidate: FloatArray
    stable: FloatArray
    """(n_units,) sums of a unit; in separate arms weighed so that means are compared."""
    design_effect: float = 1.0
    """Units are what is tested, so nothing is left to divide by."""

    @classmethod
    def of(cls, by_unit: FloatArray, test: MeanTest) -> FixedMeanTest:
        """Of the sums of `MeanColumns` by unit, (n_units, k)."""
        s = MeanColumns(*by_unit.T)
        if s.pairs.any() or test.factor == 0.0:
            is_there = s.pairs > 0.0
            sizes, candidate = s.pairs[is_there], s.paired_candidate[is_there]
            return cls(test, int(sizes.sum()), sizes, candidate, s.paired_stable[is_there])
        return cls(test, int(s.candidate_units.sum()), *_arms(s))

    @property
    def margin(self) -> float:
        """The harm tolerated."""
        return self.test.margin

    @property
    def is_testable(self) -> bool:
        """Whether there are enough cases to show harm, and something to hold them against."""
        return self.sizes.size >= FEWEST_FOR_HARM and not self.lacks_baseline

    @property
    def lacks_baseline(self) -> bool:
        """Whether a share of stable's value is tolerated, and that is 0: nothing can be judged."""
        return self.test.relative and float(self.stable.sum()) <= 0.0

    @property
    def note(self) -> str:
        """Why it is not shown to be within its limit, whatever the mean; empty where it may be."""
        if not self.sizes.size:
            return NO_CONTROL
        if self.lacks_baseline:
            return NO_BASELINE
        if self.sizes.size < FEWEST_FOR_WITHIN:
            return (
                f"fewer than {FEWEST_FOR_WITHIN} cases don't show what one in a hundred of them "
                "costs"
            )
        if self._hangs_on_few():
            return "a tenth of the spread comes from one case: others as large may be missing"
        return ""

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of harm beyond the margin."""
        return _p_above(self._harms(self.margin)) if self.is_testable else 1.0

    def p_within(self, threshold: float) -> float:
        """Return the p-value of harm within the margin."""
        if not self.is_testable or self.note:
            return 1.0
        return min(1.0, REMAINING_SKEW * _p_above(-self._harms(self.margin)))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the harm lies: what Student's t would not reject."""
        if not self.is_testable:
            return -math.inf, math.inf
        t = _t_at(alpha / 2, self.sizes.size - 1)
        middle, step = self._estimate(), self._step()
        if step <= 0.0:
            return middle, middle
        high = _last(lambda harm: _t(self._harms(harm)) >= -t, middle, middle + _WIDEST * step)
        low = _last(lambda harm: _t(self._harms(harm)) <= t, middle, middle - _WIDEST * step)
        return low, high

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return about what harm would have been shown."""
        if not self.is_testable:
            return None
        return self.margin + _t_at(threshold, self.sizes.size - 1) * self._step()

    def cases_needed(self, threshold: float) -> int | None:
        """Return about how many cases show models that are alike to be within the margin."""
        if not self.is_testable or self.margin <= 0.0 or self.test.factor == 0.0:
            return None
        z = normal_quantile(1.0 - threshold) + normal_quantile(POWER)
        units = (z * self._step() / self.margin) ** 2 * self.sizes.size
        return math.ceil(max(units, FEWEST_FOR_WITHIN) * self.cases / self.sizes.size)

    def _harms(self, harm: float) -> FloatArray:
        """Harm of each unit beyond a value, (n_units,)."""
        sign = self.test.sign
        if self.test.relative:
            return sign * (self.candidate - (1.0 + sign * harm) * self.stable)
        factor = 0.0 if self.test.factor == 0.0 else 1.0
        return sign * (self.candidate - factor * self.stable) - harm * self.sizes

    def _estimate(self) -> float:
        """The harm that makes the mean of `_harms` 0."""
        at_zero = float(self._harms(0.0).sum())
        return at_zero / self._per_harm()

    def _per_harm(self) -> float:
        weight = self.stable if self.test.relative else self.sizes
        return max(float(weight.sum()), 1e-300)

    def _step(self) -> float:
        """One standard error of the harm."""
        harms = self._harms(self._estimate())
        return _spread(harms) * math.sqrt(harms.size) / self._per_harm()

    def _hangs_on_few(self) -> bool:
        harms = self._harms(self.margin)
        around = harms - harms.mean()
        return float(np.max(around, initial=0.0)) ** 2 > LARGEST_SHARE * float((around**2).sum())


def _arms(s: MeanColumns) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Units of two arms as one observation each whose mean is the difference of the arms' means."""
    n_units = s.candidate_units.size
    candidate_units, stable_units = s.candidate_units.sum(), s.stable_units.sum()
    if candidate_units < 1.0 or stable_units < 1.0:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    candidate, stable = s.candidate_total.sum(), s.stable_total.sum()
    means = candidate / candidate_units, stable / stable_units
    weights = n_units / candidate_units, n_units / stable_units
    return (
        np.ones(n_units),
        means[0] + weights[0] * (s.candidate_total - means[0] * s.candidate_units),
        means[1] + weights[1] * (s.stable_total - means[1] * s.stable_units),
    )


def _spread(x: FloatArray) -> float:
    """Standard deviation, 0 of fewer than two."""
    return float(np.std(x, ddof=1)) if x.size > 1 else 0.0


def _t(x: FloatArray) -> float:
    spread = _spread(x)
    mean = float(x.mean())
    if spread <= _ROUNDING * abs(mean):
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / spread * math.sqrt(x.size)


def _p_above(x: FloatArray) -> float:
    """The larger p-value of Student's t and of Hall's, of a mean above 0."""
    t = _t(x)
    if t <= 0.0 or math.isinf(t):  # without any spread nothing is left to chance
        return 0.0 if t > 0.0 else 1.0
    return max(student_tail(t, x.size - 1), normal_tail(_hall(x)))


def _hall(x: FloatArray) -> float:
    """Hall's transformed statistic: nearly normal though the values lean to one side."""
    n, mean = x.size, float(x.mean())
    deviation = float(np.std(x))
    skew = float(((x - mean) ** 3).mean()) / deviation**3
    w = mean / deviation
    corrected = w + skew * w**2 / 3.0 + skew**2 * w**3 / 27.0 + skew / (6.0 * n)
    return math.sqrt(n) * corrected


def _t_at(share: float, freedom: int) -> float:
    """Return what Student's t exceeds with a chance of `share`."""
    low, high = 0.0, 1e3
    for _ in range(2 * _STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > share else (low, middle)
    return (low + high) / 2


def _last(holds: Callable[[float], bool], first: float, end: float) -> float:
    """Return how far towards `end` a condition goes on holding that holds at `first`."""
    if holds(end):
        return math.copysign(math.inf, end - first)
    inside, outside = first, end
    for _ in range(2 * _STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
