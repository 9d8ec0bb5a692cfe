"""Rollback and promotion are folded apart, divided together, and part at the next stage."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.sequential.evidence import Evidence

HARM = np.array([1.0, 2.0])
GOOD = np.array([0.5, 3.0])


def test_each_direction_sees_its_own_increments() -> None:
    begun = Evidence.begin(2)
    bad, good = begun.fold_rollback(HARM), begun.fold_promotion(GOOD)
    assert bad.rollback == begun.rollback.fold(HARM)
    assert bad.promotion == begun.promotion
    assert good.rollback == begun.rollback
    assert good.promotion.log_wealth.tolist() == GOOD.tolist()


def test_what_is_learnt_of_overdispersion_divides_both() -> None:
    evidence = Evidence.begin(2).fold_rollback(HARM).fold_promotion(GOOD)
    divided = evidence.divided(2.0)
    assert divided.rollback == evidence.rollback.divided(2.0)
    assert divided.promotion == evidence.promotion.divided(2.0)
    assert divided.rollback.log_evidence < evidence.rollback.log_evidence


def test_the_next_stage_keeps_suspicion_and_earns_promotion_anew() -> None:
    evidence = Evidence.begin(2).fold_rollback(HARM).fold_promotion(GOOD).next_stage()
    assert evidence.rollback == Evidence.begin(2).fold_rollback(HARM).rollback
    assert evidence.promotion == Evidence.begin(2).promotion


def test_batches_of_one_window_are_one_window_of_the_budget() -> None:
    once = Evidence.begin(2).fold_rollback(HARM).fold_rollback(HARM, restart=False)
    twice = Evidence.begin(2).fold_rollback(HARM).fold_rollback(HARM)
    assert (once.rollback.steps, twice.rollback.steps) == (1, 2)
