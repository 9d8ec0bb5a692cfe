"""The evidence of one check: folding, lateness, stages, resuming, slices that turn up."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.guardrails.test_evidence_path import SLICES, TEST, WINDOW_MS, folded, pairs
from understudy.analyzers.guardrails.check_evidence import CheckEvidence, FoldedWindow
from understudy.analyzers.guardrails.sequential_tests import MeanTest
from understudy.analyzers.sequential.bets import FloatArray, log_evidence
from understudy.analyzers.sequential.restart import log_share

DIVISOR = np.full(2, 5.0)


def both(one: FloatArray) -> FloatArray:
    return np.array([one, one])


def window(
    statistics: FloatArray, number: int = 0, *, counts: bool = True, late: bool = False
) -> FoldedWindow:
    return FoldedWindow(number * WINDOW_MS, both(statistics), both(statistics), counts, late)


def begun(number: int, one: FloatArray) -> CheckEvidence:
    return folded(np.array([both(one)] * number), divisor=5.0)


def test_a_window_is_divided_once() -> None:
    evidence = CheckEvidence.begin(TEST, SLICES)
    steady = pairs(2, 12)
    won = TEST.increments(both(steady), "rollback", evidence.scale)
    evidence.fold(TEST, window(steady), np.array([1.0, 5.0]))
    first = np.log(0.5) + won / np.array([[1.0], [5.0]])
    assert np.array_equal(evidence.log_wealth, first)
    evidence.fold(TEST, window(steady, 1), np.array([2.0, 1.0]))
    restarted = np.logaddexp(first, log_share(1))
    assert evidence.log_wealth == pytest.approx(restarted + won / np.array([[2.0], [1.0]]))
    assert evidence.won.shape == won.shape


def test_a_new_stage_earns_promotion_anew_and_keeps_suspicion() -> None:
    evidence = begun(3, pairs(2, 12))
    wealth, total = evidence.log_wealth, evidence.total
    evidence.enter_stage()
    assert np.array_equal(evidence.log_wealth, wealth)
    assert np.array_equal(evidence.total, total)
    assert not evidence.closed.any()
    assert (log_evidence(evidence.won) == 0.0).all()


def test_a_resumed_rollout_gathers_evidence_of_harm_anew() -> None:
    evidence = begun(3, pairs(2, 12))
    evidence.restart_rollback()
    forgiven = window(pairs(0, 50), 3, counts=False)
    evidence.fold(TEST, forgiven, DIVISOR)
    assert (log_evidence(evidence.log_wealth) == -np.inf).all()
    assert evidence.total[0, 0] == 800.0, "it counts, though"
    evidence.fold(TEST, window(pairs(0, 12), 4), DIVISOR)
    assert (log_evidence(evidence.log_wealth) > -np.inf).all()


def test_what_comes_late_counts_and_brings_no_fresh_wealth() -> None:
    evidence = begun(25, pairs(5, 5))
    windows, wealth = evidence.windows.copy(), evidence.log_wealth
    late = pairs(0, 20)
    evidence.fold(TEST, window(late, 3, late=True), DIVISOR)
    assert np.array_equal(evidence.windows, windows)
    assert (log_evidence(evidence.log_wealth) > log_evidence(wealth)).all()
    assert evidence.total[0, 0] == 26 * 200.0
    fresh = CheckEvidence.begin(TEST, SLICES)
    fresh.fold(TEST, window(late, late=True), DIVISOR)
    assert (fresh.windows == 1.0).all(), "but the first units bring some in any case"


def test_units_of_one_arm_wait_for_the_other() -> None:
    arms = dict.fromkeys(TEST.fields, 0.0) | {
        "candidate_units": 50.0, "candidate_bad_rollback": 9.0, "candidate_bad_promotion": 9.0,
    }  # fmt: skip
    alone = np.array(list(arms.values()))
    evidence = CheckEvidence.begin(TEST, SLICES)
    evidence.fold(TEST, window(alone), DIVISOR)
    assert (log_evidence(evidence.log_wealth) == -np.inf).all()
    other = np.array([50.0 if name == "stable_units" else 0.0 for name in TEST.fields])
    evidence.fold(TEST, window(other, 1), DIVISOR)
    together = alone + other
    expected = TEST.increments(both(together), "rollback", evidence.scale) / 5.0
    assert np.array_equal(evidence.log_wealth, np.log(0.5) + expected)
    assert not evidence.waiting.any()


def test_a_slice_that_turns_up_changes_nothing_of_the_others() -> None:
    evidence = begun(5, pairs(2, 12))
    more = evidence.covering(TEST, ["all", "language:de", "language:ja"])
    assert evidence.covering(TEST, SLICES) is evidence
    assert np.array_equal(more.log_wealth[[0, 2]], evidence.log_wealth)
    assert np.array_equal(more.total[[0, 2]], evidence.total)
    assert (more.log_wealth[1] == -np.inf).all()
    assert not more.total[1].any()
    assert more.newest_since_ms == evidence.newest_since_ms


def test_the_newest_units_are_chosen_by_time() -> None:
    evidence = begun(0, pairs(0, 0))
    assert evidence.newest_since_ms == -1
    for number in range(20):
        evidence.fold(TEST, window(pairs(1, 1), number), DIVISOR)
    assert evidence.newest_since_ms == 120_000
    assert evidence.newest[0, 0] == 8 * 200.0


def test_means_learn_their_scale_from_earlier_windows() -> None:
    test = MeanTest(factor=1.1, relative=True)
    sums = np.array([60.0, 60.0, 60.0, 70.0, 65.0, 70.0, *([0.0] * 6)])
    evidence = CheckEvidence.begin(test, SLICES)
    for number in range(2):
        evidence.fold(test, window(sums, number), DIVISOR)
        assert not evidence.won.any(), "nothing is staked before the scale is known"
    assert (evidence.scale[:, 0] > 0.0).all()
    evidence.fold(test, window(sums, 2), DIVISOR)
    assert evidence.won.all()
