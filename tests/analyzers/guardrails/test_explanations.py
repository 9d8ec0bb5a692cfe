"""The sentences of decisions, as an on-call engineer reads them."""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import START, Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.explanations import MOST_REASONS
from understudy.schemas.decisions import Decision

ALL = "slices: [all]"


def decision_of(guardrail: str, harm: Harm, windows: int = 40, mode: str = "shadow") -> Decision:
    stages = "[shadow]" if mode == "shadow" else "[{share: 50%}]"
    evaluator = RolloutEvaluator(policy(guardrail, stages=stages, mode=mode))
    for message in World(mode=mode, harm=harm).messages(5, windows):
        evaluator.take(message)
    return evaluator.decision()


def test_every_guardrail_that_is_broken_is_named_once() -> None:
    """One that is broken a little later is added; the first reasons stay as they were."""
    broken = {"json_valid": 0.5, "language_match": 0.4, "truncated": 0.3}
    guardrails = (
        "{metric: json_valid_rate, max_drop: 1pp}, {metric: language_match_rate, max_drop: 1pp}, "
        "{metric: truncation_rate, max_increase: 1pp}, {metric: error_rate, max_increase: 1pp}"
    )
    evaluator = RolloutEvaluator(policy(guardrails, stages="[shadow]"))
    first: list[str] = []
    for message in World(harm=Harm(bad=broken)).messages(5, 20):
        evaluator.take(message)
        first = first or evaluator.decision().reasons * (evaluator.decision().verdict == "rollback")
    reasons = evaluator.decision().reasons
    assert reasons[: len(first)] == first
    titles = ("JSON validity", "answers in the request's language", "truncation rate")
    for title in titles:
        assert (
            sum(reason.removeprefix("by now also: ").startswith(title) for reason in reasons) == 1
        )
    assert len(reasons) == len(titles)


def test_more_guardrails_than_fit_are_named() -> None:
    names = ["json_valid_rate", "language_match_rate", "json_schema_valid_rate"]
    guardrails = ", ".join(
        f"{{name: {name}_{n}, metric: {name}, max_drop: {n}pp, slices: [all]}}"
        for name in names for n in (1, 2)
    )  # fmt: skip
    bad = dict.fromkeys(("json_valid", "language_match", "json_schema_valid"), 0.6)
    reasons = decision_of(guardrails, Harm(bad=bad)).reasons
    assert len(reasons) == MOST_REASONS + 1
    assert reasons[-1].startswith("likewise ")


def test_a_verdict_is_never_since_1970() -> None:
    """Neither before the first window nor without a record of the rollout, as in a backtest."""
    evaluator = RolloutEvaluator(policy("{metric: error_rate, max_increase: 1pp}"))
    decisions = [evaluator.take(message) for message in World().messages(5, 3)]
    first = START + dt.timedelta(seconds=10)
    assert {decision.since for decision in decisions if decision} == {first}


def test_before_any_time_is_known_nothing_is_decided() -> None:
    """What is invalid before the first event counts in the window of 1970."""
    (message,) = World().messages(5, 1)
    (row, *_) = message.rows
    of_1970 = replace(row, window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    evaluator = RolloutEvaluator(policy("{metric: error_rate, max_increase: 1pp}"))
    assert evaluator.take(replace(message, watermark=None, rows=[of_1970])) is None


def test_a_hold_says_what_is_missing_in_each_slice() -> None:
    guardrail = "{metric: duration_p95, max_increase: 20%, required: every}"
    reasons = decision_of(guardrail, Harm(), windows=1).reasons
    assert reasons[:2] == [
        "200 of 1,500 requests in closed windows of stage shadow",
        "10 s of 2 min in closed windows of stage shadow",
    ]
    assert (
        "not yet shown to be within its limit: duration p95 in `ja`: learning stable's quantile: "
        "100 of 500 requests" in reasons
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


def test_each_guardrail_and_slice_that_alerts_is_an_alert_of_its_own() -> None:
    guardrails = ", ".join(
        f"{{name: json_{n}, metric: json_valid_rate, max_drop: {n}pp, slices: [all], "
        "action: alert}" for n in range(1, 8)
    )  # fmt: skip
    healthy = "{metric: error_rate, max_increase: 5pp}"
    decision = decision_of(f"{guardrails}, {healthy}", Harm(bad={"json_valid": 0.5}), windows=5)
    assert {alert.name for alert in decision.alerts} == {f"json_{n}" for n in range(1, 8)}
    assert {(alert.kind, alert.slice) for alert in decision.alerts} == {("guardrail", "all")}
    assert all(alert.sentence.startswith("JSON validity") for alert in decision.alerts)
