"""The candidate's own share of bad cases against a limit, for a fixed sample: exactly binomial."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from understudy.analyzers.fixed_sample import binomial
from understudy.analyzers.fixed_sample.alike_cases import design_effect, fewer, more
from understudy.analyzers.guardrails.column_readers import LimitColumns
from understudy.analyzers.sequential.bets import FloatArray


@dataclass(frozen=True, slots=True)
class ShareLimitTest:
    """A share of bad cases and its limit, as `FixedTest` has it."""

    margin: float
    cases: int
    design_effect: float
    independent: int
    bad_for_harm: int
    bad_for_within: int
    note: str = ""

    @classmethod
    def of(cls, by_unit: FloatArray, margin: float) -> ShareLimitTest:
        """Of the sums of `LimitColumns` by unit, (n_units, k)."""
        units = LimitColumns(*by_unit.T)
        bad = float(units.bad_rollback.sum())
        effect = design_effect(units.units, units.bad_rollback, bad)
        s = LimitColumns(*by_unit.sum(axis=0))
        independent = fewer(float(s.units), effect)
        for_within = min(independent, more(float(s.bad_promotion), effect))
        return cls(
            margin, int(s.units), effect, independent,
            min(independent, fewer(float(s.bad_rollback), effect)), for_within,
        )  # fmt: skip

    @property
    def is_testable(self) -> bool:
        """Whether there are enough cases to show anything."""
        return self.independent > 0

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of a share beyond the limit."""
        return binomial.at_least(self.bad_for_harm, self.independent, self.margin)

    def p_within(self, threshold: float) -> float:
        """Return the p-value of a share within the limit."""
        return binomial.at_most(self.bad_for_within, self.independent, self.margin)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the share lies."""
        return binomial.interval(self.bad_for_harm, self.independent, alpha)

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return the share that would have been shown to be beyond the limit."""
        chances = binomial.log_chances(range(self.independent + 1), self.independent, self.margin)
        from_here = np.exp(chances)[::-1].cumsum()[::-1]
        found = np.flatnonzero(from_here <= threshold)
        return float(found[0]) / self.independent if found.size else None

    def cases_needed(self, threshold: float) -> int | None:
        """Return how many good cases in a row would show a share within the limit."""
        if not 0.0 < self.margin < 1.0:
            return None
        needed = math.log(threshold) / math.log1p(-self.margin)
        return math.ceil(needed * self.design_effect)
