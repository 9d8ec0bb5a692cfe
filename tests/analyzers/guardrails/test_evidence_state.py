"""EvidenceState: what is learnt of overdispersion reaches evidence that is already there."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from understudy.analyzers.guardrails.evidence_state import EvidenceState
from understudy.analyzers.guardrails.sequential_tests import BinaryTest, LimitTest, MeanTest
from understudy.analyzers.guardrails.statistics import (
    BinaryStatistics,
    LimitStatistics,
    MeanStatistics,
)
from understudy.analyzers.sequential import Wealth
from understudy.analyzers.sequential.overdispersion import FIRST_GUESS

TEST = BinaryTest(margin=0.01)
WINDOW_MS = 10_000


def pairs(stable_alone: int, candidate_alone: int, n: int = 200) -> BinaryStatistics:
    return BinaryStatistics(n, stable_alone, candidate_alone)


def begun(windows: list[BinaryStatistics]) -> EvidenceState:
    evidence = EvidenceState.begin(TEST, independent=False)
    for number, counts in enumerate(windows):
        evidence.add(TEST, counts, number * WINDOW_MS)
    return evidence


def test_evidence_grows_when_windows_close_that_scatter_little() -> None:
    windows = [pairs(2, 12 + number % 3) for number in range(6)]
    evidence = begun(windows)
    before = evidence.log_evidence("rollback")
    assert evidence.overdispersion.factor == FIRST_GUESS
    for number, counts in enumerate(windows):
        evidence.close(TEST, counts, number * WINDOW_MS)
    assert evidence.overdispersion.factor < 2.0
    assert evidence.log_evidence("rollback") > 2.0 * before > 0.0


def test_evidence_shrinks_when_windows_close_that_scatter_much() -> None:
    windows = [pairs(2, 80 if number % 2 else 0) for number in range(6)]
    evidence = begun(windows)
    before = evidence.log_evidence("rollback")
    for number, counts in enumerate(windows):
        evidence.close(TEST, counts, number * WINDOW_MS)
    assert evidence.overdispersion.factor > 2 * FIRST_GUESS
    assert evidence.log_evidence("rollback") < before


def test_means_of_separate_arms_learn_how_they_scatter() -> None:
    """Arms of independent requests scatter as expected; requests in fives five times as much."""
    test = MeanTest(tick=0.01, factor=1.1, relative=True)
    for repeats, expected in ((1, 1.0), (5, 5.0)):
        rng = np.random.default_rng(3)
        evidence = EvidenceState.begin(test, independent=False)
        for number in range(600):
            arms = []
            for units in (40, 160):
                costs = np.repeat(rng.gamma(4.0, 100.0, units // repeats), repeats).astype(int)
                arms += [units, int(costs.sum()), int((costs**2).sum())]
            counts = MeanStatistics(0, 0, 0, 0, 0, 0, *arms)
            evidence.close(test, counts, number * WINDOW_MS)
        assert evidence.overdispersion.factor == pytest.approx(expected, rel=0.2)


def test_a_new_stage_earns_promotion_anew_and_keeps_suspicion() -> None:
    evidence = begun([pairs(2, 12)])
    evidence.close(TEST, pairs(2, 12), 0)
    rollback, total = evidence.rollback.wealth, evidence.total
    evidence.enter_stage()
    assert evidence.rollback.wealth == rollback
    assert evidence.total == total
    assert not evidence.closed
    assert evidence.log_evidence("promotion") == 0.0


def test_a_resumed_rollout_gathers_evidence_of_harm_anew() -> None:
    evidence = begun([pairs(2, 12) for _ in range(3)])
    evidence.restart_rollback()
    assert evidence.log_evidence("rollback") == -math.inf
    evidence.add(TEST, pairs(0, 1), 9 * WINDOW_MS)
    assert evidence.recent().window_ms == 9 * WINDOW_MS
    assert evidence.recent().statistics == pairs(0, 1)


def test_units_of_one_arm_wait_for_the_other() -> None:
    evidence = begun([BinaryStatistics(candidate_units=50, candidate_bad_rollback=9)])
    assert evidence.log_evidence("rollback") == -math.inf
    assert evidence.rollback.waiting.candidate_units == 50
    evidence.add(TEST, BinaryStatistics(stable_units=50), WINDOW_MS)
    assert evidence.log_evidence("rollback") > -math.inf
    assert not evidence.rollback.waiting


def test_what_is_reported_are_the_units_since_the_strongest_stake_began() -> None:
    healthy = [pairs(60, 0) for _ in range(60)]
    evidence = begun([*healthy, *(pairs(0, 12) for _ in range(4))])
    recent = evidence.recent()
    assert recent.window_ms >= 50 * WINDOW_MS
    assert recent.statistics.candidate_only == 48
    assert evidence.total.pairs == 64 * 200
    assert len(evidence.start_of_bet) == TEST.n_bets
    assert len(evidence.starts) <= TEST.n_bets


def test_the_state_survives_json_at_every_step() -> None:
    evidence, revived = begun([]), begun([])
    for number in range(30):
        for one in (evidence, revived):
            one.add(TEST, pairs(1, number % 7), number * WINDOW_MS)
            one.close(TEST, pairs(1, number % 7), number * WINDOW_MS)
        payload = msgspec.json.encode(revived)
        revived = msgspec.json.decode(payload, type=EvidenceState)
        assert revived == evidence


def test_the_layout_of_the_state() -> None:
    """Each part is an array in the order of its fields; a change needs a new STATE_VERSION."""
    evidence = EvidenceState.begin(LimitTest(0.5), independent=True)
    evidence.close(LimitTest(0.5), LimitStatistics(4, 2, 1), 10_000)
    evidence.promotion.wealth = Wealth((0.5, -0.25), 2.0)
    assert msgspec.json.decode(msgspec.json.encode(evidence)) == [
        [[[], 0, 1440, []], ["limit", 0, 0, 0], [0.0, 0.0, 0.0]],
        [[[0.5, -0.25], 2.0], ["limit", 0, 0, 0], [0.0, 0.0, 0.0]],
        [0, 0.0, 0.0, 0.0, 0.0, 1.0],
        ["limit", 0, 0, 0],
        ["limit", 4, 2, 1],
        ["limit", 4, 2, 1],
        10_000,
        -1,
        [0.0, 0.0, 0.0],
        [],
        [],
    ]


def test_each_direction_sees_its_own_units() -> None:
    early, closed = begun([pairs(2, 12)]), begun([])
    closed.close(TEST, pairs(2, 12), 0)
    assert early.promotion.wealth == begun([]).promotion.wealth
    assert closed.rollback.wealth == begun([]).rollback.wealth
    assert early.total == closed.closed == pairs(2, 12)


def test_what_is_learnt_of_overdispersion_divides_both_directions() -> None:
    evidence = begun([pairs(2, 12)] * 2)
    for number in range(3):
        evidence.close(TEST, pairs(2, 12), number * WINDOW_MS)
    factor = evidence.overdispersion.factor
    assert factor < FIRST_GUESS
    assert evidence.rollback.wealth == evidence.rollback.wealth.divided_by(factor)
    assert evidence.promotion.wealth.overdispersion == factor


def test_batches_of_one_window_are_one_window_of_the_budget() -> None:
    evidence = begun([])
    for window_ms in (0, 0, WINDOW_MS, 0):
        evidence.add(TEST, pairs(2, 12), window_ms)
    assert evidence.rollback.wealth.windows == 2
