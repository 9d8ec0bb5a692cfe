"""Sentences about one check: levels, effect with its interval, limit and units."""

from __future__ import annotations

import re

import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.test_explanations import ALL, decision_of
from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.formatting import format_percent

POINTS = r"[\d.]+ points? \(95 % interval -?[\d.]+ to [\d.]+\)"
PERCENT = r"[\d.]+ % \(95 % interval -?[\d.]+ to [\d.]+ %\)"
DOLLARS = r"\$[\d.]+ \(95 % interval −?\$[\d.]+ to \$[\d.]+\)"
LEVELS = r"[\d.]+ % → [\d.]+ %"


@pytest.mark.parametrize(
    ("guardrail", "harm", "pattern"),
    [
        (
            "{metric: json_valid_rate, max_drop: 0.5pp}",
            Harm(bad={"json_valid": 0.1}, languages=("ja",)),
            rf"JSON validity in `ja` fell {POINTS}, {LEVELS}, limit 0\.5 points; [\d,]+ pairs"
            r"(; also in all requests)?",
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
            rf"disagreement beyond the noise floor over all requests is {POINTS}, limit 5 points; "
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
    found = re.search(r"fell ([\d.]+) points \(95 % interval (-?[\d.]+) to ([\d.]+)\)", words)
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
    assert " % → 0 %, limit 0.5 points; " in decision.reasons[0]


def test_slices_of_one_guardrail_share_a_sentence() -> None:
    guardrail = "{metric: json_valid_rate, max_drop: 1pp, slices: [{language: en}, {language: ja}]}"
    (words,) = decision_of(guardrail, Harm(bad={"json_valid": 0.5})).reasons
    assert re.match("JSON validity in `(en|ja)` fell ", words)
    assert re.search("; also in `(en|ja)`$", words)
