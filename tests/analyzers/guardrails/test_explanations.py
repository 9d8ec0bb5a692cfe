"""The sentences of decisions, as an on-call engineer reads them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import msgspec
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import START, Harm, World, replaced
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.explanations import MOST_REASONS
from understudy.analyzers.guardrails.formatting import format_percent
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
    of_1970 = msgspec.structs.replace(row, window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    evaluator = RolloutEvaluator(policy("{metric: error_rate, max_increase: 1pp}"))
    assert evaluator.take(replaced(message, watermark=None, rows=[of_1970])) is None


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


def promoted(guardrails: str, world: World, windows: int = 60) -> Decision:
    evaluator = RolloutEvaluator(policy(guardrails, stages="[shadow, 50%]"))
    for message in world.messages(5, windows):
        evaluator.take(message)
    decision = evaluator.decision()
    assert decision.verdict == "promote", decision.reasons
    return decision


ERRORS = "{metric: error_rate, max_increase: 3pp, slices: [all]}"


def test_a_promotion_says_what_has_been_shown() -> None:
    decision = promoted(ERRORS, World())
    assert decision.reasons == [
        "every required guardrail is shown to be within its limit after 12,000 requests in stage "
        "shadow"
    ]
    assert decision.stage.judged_share == 1.0


def test_a_promotion_says_on_how_many_of_the_requests_it_rests() -> None:
    decision = promoted(ERRORS, World(harm=Harm(lost=0.01)))
    share = decision.stage.judged_share
    assert share == pytest.approx(0.99, abs=0.003)
    assert decision.reasons[0].endswith(
        f", which is {format_percent(share)} of them: {format_percent(1 - share)} of the "
        "candidate's sides never came"
    )


def test_a_promotion_says_what_was_not_measured() -> None:
    feedback = "{metric: feedback, max_drop: 5pp, required: if_measured}"
    decision = promoted(f"{ERRORS}, {feedback}", World())
    assert decision.not_measured == ["feedback"]
    assert decision.reasons[1:] == ["not measured: positive feedback"]


def test_a_promotion_says_what_was_too_few_and_what_points_the_other_way() -> None:
    """A tenth of the windows is Japanese; there the candidate is a little worse."""
    world = World(harm=Harm(bad={"error": 0.03}, languages=("ja",)), languages=("en",))
    evaluator = RolloutEvaluator(
        policy("{metric: error_rate, max_increase: 2pp}", stages="[shadow, 50%]")
    )
    japanese = replace(world, languages=("ja",), requests=20)
    rare = replace(world, languages=("de",), requests=1)
    for place, message in enumerate(world.messages(5, 110)):
        rows = message.rows
        if place % 10 == 0:
            for one in (japanese, rare):
                rows += one.messages(place, 1, first=place)[0].rows
        evaluator.take(replaced(message, rows))
    decision = evaluator.decision()
    assert decision.verdict == "promote", decision.reasons
    assert decision.too_few == ["error_rate/language:de"]
    assert decision.point_other_way == ["error_rate/language:ja"]
    assert "too few to tell: error rate in `de` (" in "\n".join(decision.reasons)
    assert "points the other way, perhaps by chance: error rate in `ja` rose" in "\n".join(
        decision.reasons
    )


@pytest.mark.parametrize(("units", "first", "too_few"), [(2, 22, True), (3, 38, False)])
def test_a_metric_that_few_requests_have_is_awaited_or_given_up(
    units: int, first: int, too_few: bool
) -> None:
    """It is not promoted first, and held when a hundred requests have it.

    Errors alone would promote after 11 windows of 200 requests, with 44 or 66 units of JSON. Of
    units that are all good, 230 show a margin of 2 points; it is awaited for 4,500 requests.
    """
    json = "{metric: json_valid_rate, max_drop: 2pp, slices: [all], required: if_measured}"
    evaluator = RolloutEvaluator(policy(f"{ERRORS}, {json}", stages="[shadow, 50%]"))
    verdicts, few = [], []
    for message in World().messages(5, 60):
        rows = message.rows
        for row in rows:
            for side in (row.stable, row.candidate):
                side.json_expected = side.json_valid = units
            pair = row.pair
            pair.json_expected_both = pair.json_valid_both = units
            pair.json_valid_only_stable = pair.json_valid_only_candidate = 0
        evaluator.take(replaced(message, rows))
        verdicts.append(evaluator.decision().verdict)
        few.append(evaluator.decision().too_few)
    assert verdicts.index("promote") == pytest.approx(first, abs=1)
    assert set(verdicts[verdicts.index("promote") :]) == {"promote"}
    assert few[verdicts.index("promote")] == (["json_valid_rate/all"] if too_few else [])


def test_an_incident_that_hits_stable_as_well_is_named() -> None:
    """Stable has it for a minute, then the candidate: it is rolled back, and the reason says so."""
    sound, failing = World(), Harm(bad={"error": 0.4})
    messages = [
        *sound.messages(5, 60),
        *replace(sound, stable=failing).messages(5, 6, first=60),
        *replace(sound, harm=failing).messages(5, 6, first=66),
    ]
    evaluator = RolloutEvaluator(policy(ERRORS, stages="[shadow]"))
    for message in messages:
        evaluator.take(message)
    decision = evaluator.decision()
    assert decision.verdict == "rollback"
    assert "; stable's own went from " in decision.reasons[0]
    assert decision.reasons[0].endswith("one incident may have hit both sides")


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


def test_another_model_in_the_middle_of_a_stage_is_an_alert() -> None:
    evaluator = RolloutEvaluator(policy(ERRORS, stages="[shadow, 50%]"))
    emitted = []
    for place, message in enumerate(World().messages(5, 40)):
        model = "heron-4" if place < 20 else "heron-4-1203"
        rows = message.rows
        for row in rows:
            row.stable.models, row.candidate.models = {model: 100}, {"heron-5": 100}
        emitted.append(evaluator.take(replaced(message, rows)))
    decision = evaluator.decision()
    (alert,) = decision.alerts
    assert (alert.kind, alert.name) == ("model", "stable")
    assert alert.sentence == (
        "another model answers for stable: heron-4-1203 since 2026-03-02 12:03:20 UTC (100 % of "
        "the answers), when the stage began heron-4; what was measured before is about that one"
    )
    first = next(one for one in emitted if one is not None and one.alerts)
    assert not first.is_refresh
    evaluator.promote()
    assert evaluator.decision().alerts == []
