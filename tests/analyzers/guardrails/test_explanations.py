"""The sentences of decisions, as an on-call engineer reads them."""

from __future__ import annotations

import re

import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision

ALL = "slices: [all]"


def decision_of(guardrail: str, harm: Harm, windows: int = 40, mode: str = "shadow") -> Decision:
    stages = "[shadow]" if mode == "shadow" else "[{share: 50%}]"
    evaluator = RolloutEvaluator(policy(guardrail, stages=stages, mode=mode))
    for message in World(mode=mode, harm=harm).messages(5, windows):
        evaluator.take(message)
    return evaluator.decision()


@pytest.mark.parametrize(
    ("guardrail", "harm", "pattern"),
    [
        (
            "{metric: json_valid_rate, max_drop: 0.5pp}",
            Harm(bad={"json_valid": 0.1}, languages=("ja",)),
            r"JSON validity in `ja` fell [\d.]+ points, limit 0\.5; [\d,]+ pairs",
        ),
        (
            "{metric: error_rate, max: 3%, %s}",
            Harm(bad={"error": 0.06}),
            r"error rate over all requests is [\d.]+ %, limit 3 %; [\d,]+ requests",
        ),
        (
            "{metric: json_valid_rate, min: 95%, %s}",
            Harm(bad={"json_valid": 0.1}),
            r"JSON validity over all requests is [\d.]+ %, limit 95 %; [\d,]+ requests",
        ),
        (
            "{metric: cost_usd, max_increase: 10%, %s}",
            Harm(dearer=1.5),
            r"mean cost over all requests rose [\d.]+ %, limit 10 %; [\d,]+ pairs",
        ),
        (
            "{metric: cost_usd, max_increase: 0.0005, %s}",
            Harm(dearer=2.0),
            r"mean cost over all requests rose \$[\d.]+, limit \$0\.0005; [\d,]+ pairs",
        ),
        (
            "{metric: duration_p95, max: 4s, %s}",
            Harm(slower=3.0),
            r"duration p95 over all requests is over 4 s in [\d.]+ % of the requests, limit 5 %; "
            r"[\d,]+ requests",
        ),
        (
            "{metric: duration_p95, max_increase: 20%, %s}",
            Harm(slower=2.0),
            r"duration p95 over all requests beyond \+20 %: [\d.]+ % of the candidate's took over "
            r"[\d.]+ s, [\d.]+ % of stable's over [\d.]+ s; [\d,]+ requests",
        ),
        (
            "{metric: similarity_excess, max: 5pp, %s}",
            Harm(disagreement=0.2),
            r"disagreement beyond the noise floor over all requests is \d+ points, limit 5; "
            r"[\d,]+ pairs",
        ),
    ],
)  # fmt: skip
def test_reasons_say_what_where_how_much_and_the_limit(
    guardrail: str, harm: Harm, pattern: str
) -> None:
    decision = decision_of(guardrail.replace("%s", ALL), harm)
    assert decision.verdict == "rollback"
    assert re.fullmatch(pattern, decision.reasons[0]), decision.reasons


def test_a_hold_says_what_is_missing_in_each_slice() -> None:
    guardrail = "{metric: duration_p95, max_increase: 20%, required: every}"
    reasons = decision_of(guardrail, Harm(), windows=1).reasons
    assert reasons[:2] == [
        "200 of 1,500 requests in closed windows of stage shadow",
        "10 s of 2 min in closed windows of stage shadow",
    ]
    assert (
        "not yet shown to be within its limit: duration p95 in `ja`: learning stable's quantile: "
        "100 of 3,000 requests" in reasons
    )


def test_an_empty_arm_is_named() -> None:
    reasons = decision_of("{metric: similarity_excess, max: 5pp}", Harm(), 1, "canary").reasons
    assert any(reason.endswith(": nothing measured yet") for reason in reasons)


def test_a_promotion_says_what_has_been_shown() -> None:
    guardrail = "{metric: error_rate, max_increase: 3pp, %s}".replace("%s", ALL)
    evaluator = RolloutEvaluator(policy(guardrail, stages="[shadow, 50%]"))
    for message in World().messages(5, 60):
        evaluator.take(message)
    assert evaluator.decision().reasons == [
        "every required guardrail is shown to be within its limit after 12,000 requests in stage "
        "shadow"
    ]
