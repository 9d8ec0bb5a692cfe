"""What a guardrail on preferences finds, told before anything was judged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.test_quality import PREFERENCE
from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.evaluator_power import (
    evaluator_sentences,
    pairs_until_rollback,
    smallest_harm_found,
)
from understudy.analyzers.guardrails.graded_columns import GRADED_FIELDS, place_of
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.sequential.bets import log_evidence
from understudy.analyzers.sequential.restart import log_share, restarted
from understudy.schemas.evaluation_sampling import EvaluateManifest, compile_sampling
from understudy.schemas.rollouts import Rollout

ZERO = PREFERENCE.replace("2pp", "0pp")
SAMPLING = compile_sampling(EvaluateManifest(evaluator="helpfulness@1"))


def check_of(rollout: Rollout) -> Check:
    return next(one for one in checks_of(rollout) if one.is_guardrail)


def test_the_sentence_names_pairs_and_budget() -> None:
    (sentence,) = evaluator_sentences(policy(ZERO), [SAMPLING])
    assert sentence.startswith(
        "quality_preference: a fall of 3 points below 50 % is found after about "
    )
    assert "helpfulness@1 judges up to 72,000 pairs a day, in which a fall of 0." in sentence
    (without,) = evaluator_sentences(policy(ZERO))
    assert sentence.startswith(without)
    assert "a day" not in without


def test_nothing_is_said_of_scores_and_alerts() -> None:
    score = "{metric: quality_score, evaluator: a@1, max_drop: 2pp}"
    alert = PREFERENCE.replace("}", ", action: alert}")
    assert evaluator_sentences(policy(f"{score}, {alert}"), [SAMPLING]) == []


def test_the_smallest_harm_takes_as_many_pairs() -> None:
    rollout = policy(PREFERENCE)
    check = check_of(rollout)
    harm = smallest_harm_found(check, rollout, 20_000, ALL)
    assert harm > check.test.margin
    pairs = pairs_until_rollback(check, rollout, harm, ALL)
    assert pairs == pytest.approx(20_000, rel=0.02)
    assert math.isinf(smallest_harm_found(check, rollout, 3, ALL))


def test_the_median_is_that_of_a_simulation() -> None:
    rollout = policy(ZERO)
    check, harm, n = check_of(rollout), 0.06, 300
    rng = np.random.default_rng(5)
    wealth, stopped = np.full((n, check.test.n_bets), -np.inf), np.full(n, np.inf)
    threshold = -np.log(rollout.false_rollback * check.weight * 0.5)
    for window in range(400):
        wins = rng.binomial(10, 0.5 - harm, n)
        statistics = np.zeros((n, len(GRADED_FIELDS)))
        statistics[:, place_of("difference_+10")] = wins
        statistics[:, place_of("difference_-10")] = 10 - wins
        won = check.test.increments(statistics, "rollback", np.zeros((n, 3)))
        wealth = restarted(wealth, won, log_share(window))
        stopped[np.isinf(stopped) & (log_evidence(wealth) >= threshold)] = 10 * (window + 1)
    told = pairs_until_rollback(check, rollout, harm, ALL)
    assert float(np.median(stopped)) == pytest.approx(told, rel=0.25)
