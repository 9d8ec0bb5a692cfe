"""Whether the arms get their planned shares, when conversations are assigned as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.analyzers.guardrails.stage_counts import (
    Assigned,
    Assignment,
    StageCounts,
    StageSums,
)
from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD
from understudy.schemas.rollouts import Stage

CANARY = Stage(name="5%", mode="canary", share=0.05, min_requests=1, min_duration_s=0.0)
WINDOW_MS = 10_000


def after(
    seed: int, *, turns: int, share: float = 0.05, named: bool, windows: int = 300
) -> StageCounts:
    """Conversations whose turns come 45 s apart, twenty new ones a window."""
    rng = np.random.default_rng(seed)
    counts = StageCounts()
    begun = rng.binomial(20, share, windows + 5 * turns)
    for number in range(windows):
        back = [number + 5 * turns - round(4.5 * turn) for turn in range(turns)]
        candidate, requests = int(sum(begun[place] for place in back)), 20 * turns
        first = Assigned(int(begun[back[0]]), 20) if named else Assigned()
        unnamed = Assigned() if named else Assigned(candidate, requests)
        window = Assignment(number * WINDOW_MS, first, unnamed, False, False)
        counts.check_sample_ratio(CANARY, window)
    return counts


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("turns", [5, 20])
def test_conversations_that_stay_with_an_arm_are_no_mismatch(turns: int, named: bool) -> None:
    found = [after(seed, turns=turns, named=named).log_sample_ratio for seed in range(20)]
    assert max(found) < LOG_THRESHOLD


def test_a_share_that_is_not_as_planned_is_found() -> None:
    assert after(1, turns=5, share=0.08, named=True).log_sample_ratio > LOG_THRESHOLD
    missed = after(1, turns=1, share=0.15, named=False, windows=600)
    assert missed.log_sample_ratio > LOG_THRESHOLD


def test_a_breach_stays_one() -> None:
    counts = after(1, turns=5, share=0.08, named=True)
    found = counts.log_sample_ratio
    counts.check_sample_ratio(
        CANARY, Assignment(10**9, Assigned(0, 9_000), Assigned(), False, False)
    )
    assert counts.log_sample_ratio >= found


def test_a_policy_that_names_no_arms_has_no_share_to_break() -> None:
    counts = StageCounts()
    shadow = Stage(name="shadow", mode="shadow", share=0.0, min_requests=1, min_duration_s=0.0)
    counts.check_sample_ratio(shadow, Assignment(0, Assigned(9, 9), Assigned(9, 9), False, False))
    assert (counts.log_sample_ratio, counts.first_turns) == (0.0, Assigned())


def test_what_the_gateway_dropped_is_no_progress_of_the_candidate() -> None:
    sums = StageSums(
        stable_requests=0, candidate_requests=100, candidate_model_requests=70, pairs=0,
        unmatched=0, lost_candidate=0, lost_stable=0, stable_models={}, candidate_models={},
    )  # fmt: skip
    counts = StageCounts()
    counts.add(sums, CANARY, 0, WINDOW_MS)
    assert counts.requests == 70
    assert counts.single_candidate == 100, "they were assigned to the candidate all the same"
