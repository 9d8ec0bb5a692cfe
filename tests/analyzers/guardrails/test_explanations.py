"""The sentences of decisions, as an on-call engineer reads them."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from msgspec.structs import replace

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import START, Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.explanations import MOST_REASONS
from understudy.analyzers.guardrails.formatting import format_percent
from understudy.schemas.decisions import Decision

ALL = "slices: [all]"
POINTS = r"[\d.]+ points? \(95 % interval -?[\d.]+ to [\d.]+\)"
PERCENT = r"[\d.]+ % \(95 % interval -?[\d.]+ to [\d.]+ %\)"
DOLLARS = r"\$[\d.]+ \(95 % interval −?\$[\d.]+ to \$[\d.]+\)"
LEVELS = r"[\d.]+ % → [\d.]+ %"


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
            rf"JSON validity in `ja` fell {POINTS}, {LEVELS}, limit 0\.5; [\d,]+ pairs",
        ),
        (
            "{metric: error_rate, max: 3%, %s}",
            Harm(bad={"error": 0.06}),
            rf"error rate over all requests is {PERCENT}, limit 3 %; [\d,]+ requests",
        ),
        (
            "{metric: json_valid_rate, min: 95%, %s}",
            Harm(bad={"json_valid": 0.1}),
            rf"JSON validity over all requests is {PERCENT}, limit 95 %; [\d,]+ requests",
        ),
        (
            "{metric: cost_usd, max_increase: 10%, %s}",
            Harm(dearer=1.5),
            rf"mean cost over all requests rose {PERCENT}, \$[\d.]+ → \$[\d.]+, limit 10 %; "
            r"[\d,]+ pairs",
        ),
        (
            "{metric: cost_usd, max_increase: 0.0005, %s}",
            Harm(dearer=2.0),
            rf"mean cost over all requests rose {DOLLARS}, \$[\d.]+ → \$[\d.]+, limit \$0\.0005; "
            r"[\d,]+ pairs",
        ),
        (
            "{metric: duration_p95, max: 4s, %s}",
            Harm(slower=3.0),
            rf"duration p95 over all requests is over 4 s in {PERCENT} of the requests, limit 5 %; "
            r"[\d,]+ requests",
        ),
        (
            "{metric: duration_p95, max_increase: 20%, %s}",
            Harm(slower=2.0),
            r"duration p95 over all requests beyond \+20 %: [\d.]+ % of the candidate's took over "
            rf"[\d.]+ s, [\d.]+ % of stable's over [\d.]+ s, a difference of {POINTS}; "
            r"[\d,]+ requests",
        ),
        (
            "{metric: similarity_excess, max: 5pp, %s}",
            Harm(disagreement=0.2),
            rf"disagreement beyond the noise floor over all requests is {POINTS}, limit 5; "
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


def test_the_effect_is_that_of_all_requests_judged() -> None:
    """Not of the stretch in which evidence grew, which shows more than the truth."""
    evaluator = RolloutEvaluator(
        policy("{metric: json_valid_rate, max_drop: 0.5pp, slices: [all]}")
    )
    harm = World(harm=Harm(bad={"json_valid": 0.6}))
    messages = World().messages(5, 30) + harm.messages(5, 30, first=30)
    for message in messages:
        evaluator.take(message)
        if evaluator.decision().verdict == "rollback":
            break
    taken = messages[: messages.index(message) + 1]
    rows = [row for one in taken for row in one.rows]
    stable, candidate = (
        sum(getattr(row, side).json_valid for row in rows) / (100 * len(rows))
        for side in ("stable", "candidate")
    )
    (words,) = evaluator.decision().reasons
    found = re.search(r"fell ([\d.]+) points \(95 % interval ([\d.]+) to ([\d.]+)\)", words)
    assert found is not None, words
    assert float(found[1]) == pytest.approx(100 * (stable - candidate), abs=0.05)
    assert float(found[2]) < 100 * (stable - candidate) < float(found[3])
    assert f"{format_percent(stable)} → {format_percent(candidate)}" in words
    (one,) = evaluator.decision().evidence
    assert one.harm == pytest.approx(stable - candidate)
    assert (one.stable, one.candidate) == (pytest.approx(stable), pytest.approx(candidate))


def test_a_total_loss_is_a_hundred_points() -> None:
    decision = decision_of(
        "{metric: json_valid_rate, max_drop: 0.5pp, slices: [all]}", Harm(bad={"json_valid": 1.0})
    )
    assert "e+" not in decision.reasons[0]
    assert " % → 0 %, limit 0.5; " in decision.reasons[0]


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


def test_slices_of_one_guardrail_share_a_sentence() -> None:
    guardrail = "{metric: json_valid_rate, max_drop: 1pp, slices: [{language: en}, {language: ja}]}"
    (words,) = decision_of(guardrail, Harm(bad={"json_valid": 0.5})).reasons
    assert re.match("JSON validity in `(en|ja)` fell ", words)
    assert re.search("; also in `(en|ja)`$", words)


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
