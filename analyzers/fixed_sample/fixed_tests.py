"""The test of a check on a fixed sample, by what its metric is.

Each answers the same questions: whether harm beyond the margin is shown, whether harm is shown to
lie within it, where it lies, and what as many cases could have shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from understudy.analyzers.fixed_sample.alike_cases import design_effect
from understudy.analyzers.fixed_sample.means import NO_CONTROL, FixedMeanTest
from understudy.analyzers.fixed_sample.paired_rates import PairedRateTest
from understudy.analyzers.fixed_sample.share_limits import ShareLimitTest
from understudy.analyzers.guardrails.column_readers import BinaryColumns
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    LimitTest,
    MeanTest,
)
from understudy.analyzers.sequential import Direction
from understudy.analyzers.sequential.bets import FloatArray, log_evidence


class FixedTest(Protocol):
    """A check's test in a slice."""

    @property
    def margin(self) -> float:
        """The harm tolerated."""

    @property
    def cases(self) -> int:
        """Pairs, or answers of the candidate."""

    @property
    def design_effect(self) -> float:
        """By how much less they tell than independent ones."""

    @property
    def is_testable(self) -> bool:
        """Whether there are enough to show harm; no outcome decides that."""

    @property
    def note(self) -> str:
        """What cannot be shown, and why; empty where all can."""

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of harm beyond the margin, for a decision at `threshold`."""

    def p_within(self, threshold: float) -> float:
        """Return the p-value of harm within the margin, for a decision at `threshold`."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the harm lies, `alpha` for both ends together."""

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return what harm would have been shown; None where that cannot be said."""

    def cases_needed(self, threshold: float) -> int | None:
        """Return in about how many cases alike models would pass; None where that is unknown."""


@dataclass(frozen=True, slots=True)
class EvidenceTest:
    """The evidence of the sequential test, taken once: its inverse is a p-value.

    For what has no sharper test here: multiples of stable's rate, and what two separate arms show.
    """

    test: BinaryTest
    total: FloatArray
    design_effect: float

    @classmethod
    def of(cls, by_unit: FloatArray, test: BinaryTest) -> EvidenceTest:
        """Of the sums of `BinaryColumns` by unit, (n_units, k)."""
        s = BinaryColumns(*by_unit.T)
        sizes = s.pairs + s.candidate_units
        bad = s.candidate_only_rollback + s.both_rollback + s.candidate_bad_rollback
        return cls(test, by_unit.sum(axis=0), design_effect(sizes, bad, float(bad.sum())))

    @property
    def margin(self) -> float:
        """The harm tolerated."""
        return self.test.margin

    @property
    def cases(self) -> int:
        """Pairs, or units of the candidate."""
        return int(self.test.units(self.total))

    @property
    def is_testable(self) -> bool:
        """Whether both sides have any."""
        s = BinaryColumns(*self.total)
        return bool(s.pairs > 0.0 or min(s.candidate_units, s.stable_units) > 0.0)

    @property
    def note(self) -> str:
        """Why it cannot be tested; empty where it can."""
        return "" if self.is_testable else NO_CONTROL

    def p_harm(self, threshold: float) -> float:
        """Return the p-value of harm beyond the margin."""
        return self._p("rollback")

    def p_within(self, threshold: float) -> float:
        """Return the p-value of harm within the margin."""
        return self._p("promotion")

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return where the harm lies, however often one looks."""
        nothing = np.zeros(3)
        low, high = self.test.interval(
            self.total, nothing, nothing, alpha, np.array(self.design_effect)
        ).tolist()
        return low, high

    def smallest_harm_found(self, threshold: float) -> float | None:
        """Return nothing."""
        return None

    def cases_needed(self, threshold: float) -> int | None:
        """Return nothing."""
        return None

    def _p(self, direction: Direction) -> float:
        if not self.is_testable:
            return 1.0
        won = self.test.increments(self.total, direction, np.zeros(3)) / self.design_effect
        return min(1.0, math.exp(-float(log_evidence(won))))


def test_of(test: AnyTest, by_unit: FloatArray) -> FixedTest:
    """Return the test of the statistics of a slice's units, (n_units, k)."""
    if isinstance(test, LimitTest):
        return ShareLimitTest.of(by_unit, test.margin)
    if isinstance(test, MeanTest):
        return FixedMeanTest.of(by_unit, test)
    if not isinstance(test, BinaryTest):
        raise TypeError(f"no test of a fixed sample goes with {type(test).__name__}")
    has_arms = by_unit[:, BinaryColumns._fields.index("candidate_units") :].any()
    if test.ratio != 1.0 or has_arms:
        return EvidenceTest.of(by_unit, test)
    return PairedRateTest.of(by_unit, test.margin)
