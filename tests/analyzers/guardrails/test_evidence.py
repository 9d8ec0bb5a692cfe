"""EvidenceState: what is learnt of overdispersion reaches evidence that is already there."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.evidence import EvidenceState
from understudy.analyzers.guardrails.sequential_tests import BinaryTest, MeanTest
from understudy.analyzers.guardrails.statistics import BinaryStatistics, MeanStatistics
from understudy.analyzers.sequential.overdispersion import FIRST_GUESS

RULE = BinaryTest(margin=0.01)
WINDOW_MS = 10_000


def pairs(stable_alone: int, candidate_alone: int, n: int = 200) -> BinaryStatistics:
    return BinaryStatistics(n, stable_alone, candidate_alone)


def begun(windows: list[BinaryStatistics]) -> EvidenceState:
    weighing = EvidenceState.begin(RULE, independent=False)
    for number, counts in enumerate(windows):
        weighing.add(RULE, counts, number * WINDOW_MS)
    return weighing


def test_evidence_grows_when_windows_close_that_scatter_little() -> None:
    windows = [pairs(2, 12 + number % 3) for number in range(6)]
    weighing = begun(windows)
    before = weighing.log_evidence("rollback")
    assert weighing.phi.phi == FIRST_GUESS
    for number, counts in enumerate(windows):
        weighing.close(RULE, counts, number * WINDOW_MS)
    assert weighing.phi.phi < 2.0
    assert weighing.log_evidence("rollback") > 2.0 * before > 0.0


def test_evidence_shrinks_when_windows_close_that_scatter_much() -> None:
    windows = [pairs(2, 80 if number % 2 else 0) for number in range(6)]
    weighing = begun(windows)
    before = weighing.log_evidence("rollback")
    for number, counts in enumerate(windows):
        weighing.close(RULE, counts, number * WINDOW_MS)
    assert weighing.phi.phi > 2 * FIRST_GUESS
    assert weighing.log_evidence("rollback") < before


def test_means_of_separate_arms_learn_how_they_scatter() -> None:
    """Arms of independent requests scatter as expected; requests in fives five times as much."""
    rule = MeanTest(tick=0.01, factor=1.1, relative=True)
    for repeats, expected in ((1, 1.0), (5, 5.0)):
        rng = np.random.default_rng(3)
        weighing = EvidenceState.begin(rule, independent=False)
        for number in range(600):
            arms = []
            for units in (40, 160):
                costs = np.repeat(rng.gamma(4.0, 100.0, units // repeats), repeats).astype(int)
                arms += [units, int(costs.sum()), int((costs**2).sum())]
            counts = MeanStatistics(0, 0, 0, 0, 0, 0, *arms)
            weighing.close(rule, counts, number * WINDOW_MS)
        assert weighing.phi.phi == pytest.approx(expected, rel=0.2)
