from __future__ import annotations

import numpy as np

from tests.analyzers.fixed_sample.cases import Case, cases_of, json_policy, policy, rows_of
from understudy.analyzers.fixed_sample.findings import Finding, findings, lacks
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.fixed_sample.sentences import Sentences, what_it_takes
from understudy.analyzers.guardrails.checks import checks_of
from understudy.schemas.rollouts import Rollout


def judged(rollout: Rollout, cases: list[Case]) -> tuple[Sample, list[Finding], Sentences]:
    sample = Sample.of_rows(rows_of(cases), checks_of(rollout))
    return sample, findings(rollout, sample), Sentences(rollout, sample)


def test_a_breach_says_what_fell_by_how_much() -> None:
    _, (one, *_), sentences = judged(json_policy(), cases_of(200, candidate_only=20))
    assert sentences.describe(one) == (
        "JSON validity over all requests fell 10 points (95 % interval 6.57 to 14.9), "
        "100 % → 90 %, limit 1 point; 200 cases"
    )


def test_a_hold_says_what_it_would_take() -> None:
    rollout = json_policy()
    sample, found, sentences = judged(rollout, cases_of(200, stable_only=2, candidate_only=2))
    (reason,) = sentences.of_hold(lacks(rollout, sample, found))
    assert reason == (
        "not shown to be within its limit: JSON validity over all requests fell 0 points (95 % "
        "interval -2.69 to 2.69), 99 % → 99 %, limit 1 point; 200 cases; with as many cases a "
        "fall of 5.5 points can be found; models that are alike pass from about 1,300 cases on"
    )


def test_guardrails_that_lack_cases_alone_share_a_sentence() -> None:
    rollout = policy()
    sample, found, sentences = judged(rollout, cases_of(200, candidate_only=1))
    worse, calm = sentences.of_hold(lacks(rollout, sample, found))
    assert worse.startswith("not shown to be within its limit: JSON validity over all requests")
    assert calm.startswith(
        "200 cases are too few to show that these are within their limits, though none looks "
        "worse: error rate, empty answers, streams that break off, "
    )
    assert "harm of 5" in calm
    assert calm.endswith("models that are alike pass from about 310 cases on")


def test_a_quantile_says_both_levels() -> None:
    rng = np.random.default_rng(1)
    times = 1_000.0 * np.exp(0.5 * rng.standard_normal((400, 2)))
    cases = [Case(duration_ms=(stable, 3.0 * candidate)) for stable, candidate in times.tolist()]
    text = (
        "guardrails:\n- {metric: error_rate, max_increase: 1pp}\n"
        "- {metric: duration_p95, max_increase: 50%}"
    )
    _, found, sentences = judged(policy(text), cases)
    (one,) = (one for one in found if one.check.is_tail)
    said = sentences.describe(one)
    assert said.startswith("duration p95 over all requests rose ")
    assert " s → " in said
    assert said.endswith("limit 50 %; 400 cases")


def test_lost_sides_and_the_number_of_conversations_are_named() -> None:
    rollout = json_policy()
    cases = cases_of(300) + [Case(lost="candidate")] * 30
    sample, found, sentences = judged(rollout, cases)
    (reason,) = sentences.of_hold(lacks(rollout, sample, found))
    assert reason == (
        "9.09 % of the cases lack a side, limit 5 %: 30 have no answer of the candidate, 0 none "
        "of stable"
    )


def test_what_cannot_be_known_is_left_out() -> None:
    _, (one, *_), _ = judged(json_policy(), cases_of(400))
    assert "pass from" not in what_it_takes(one)
