"""A metric of a field that no event of the rollout has is not measured."""

from __future__ import annotations

import msgspec
import pytest

from tests.analyzers.guardrails.test_closed_windows import closed_rows, shown
from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import World, replaced
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowRow, WindowsMessage

GUARDRAILS = (
    "{metric: error_rate, max_increase: 1pp}, "
    "{metric: fallback_rate, max_increase: 2pp, required: if_measured}, "
    "{metric: empty_rate, max: 3%, required: if_measured}, "
    "{metric: incomplete_rate, max: 3%, required: if_measured}, "
    "{metric: reasoning_leak_rate, max_increase: 2pp, required: if_measured}, "
    "{metric: tool_call_invalid_rate, max_increase: 2pp, required: if_measured}"
)
BY_FIELD = {
    "fallback_known": ["fallback_rate"],
    "content": ["empty_rate"],
    "texts": ["reasoning_leak_rate"],
    "finish_reason_known": ["incomplete_rate"],
    "tools_called": ["tool_call_invalid_rate"],
}


def without(row: WindowRow, *fields: str) -> WindowRow:
    """The row of events without some fields, as they are compared.

    Answers without a text are empty, and streams without a finish reason have no end.
    """
    pair = row.pair
    sides = []
    for side in (row.stable, row.candidate):
        counts = [name for name in fields if name != "content"]
        side = msgspec.structs.replace(side, **dict.fromkeys(counts, 0))
        if "fallback_known" in fields:
            side = msgspec.structs.replace(side, fallbacks=0)
            pair = msgspec.structs.replace(
                pair, fallback_only_stable=0, fallback_only_candidate=0, fallback_both=0
            )
        if "content" in fields:
            side = msgspec.structs.replace(side, empties=side.answers)
            pair = msgspec.structs.replace(pair, empty_both=pair.answered)
        if "finish_reason_known" in fields:
            side = msgspec.structs.replace(side, incompletes=side.answers)
            pair = msgspec.structs.replace(pair, incomplete_both=pair.answered)
        sides.append(side)
    return msgspec.structs.replace(row, stable=sides[0], candidate=sides[1], pair=pair)


def messages(
    fields: dict[str, int], *, windows: int = 40, world: World | None = None
) -> list[WindowsMessage]:
    """Windows without some fields, each until one that has it."""
    found = []
    for window, message in enumerate((world or World()).messages(5, windows)):
        absent = [name for name, until in fields.items() if window < until]
        rows = [without(row, *absent) for row in message.rows]
        assert message.watermark is not None
        version = to_epoch_ms(message.watermark)
        rows = [msgspec.structs.replace(row, version=version) for row in rows]
        found.append(replaced(message, rows=rows, version=version))
    return found


def evidence_of(decision: Decision, guardrail: str) -> Evidence:
    (found,) = (
        one for one in decision.evidence if (one.guardrail, one.slice) == (guardrail, "all")
    )
    return found


def taken(rollout: Rollout, some: list[WindowsMessage]) -> RolloutEvaluator:
    evaluator = RolloutEvaluator(rollout)
    for message in some:
        evaluator.take(message)
    return evaluator


NEVER = 1_000


@pytest.mark.parametrize("mode", ["shadow", "canary"])
@pytest.mark.parametrize(("field", "metrics"), BY_FIELD.items())
def test_without_the_field_nothing_is_measured_and_nothing_is_broken(
    field: str, metrics: list[str], mode: str
) -> None:
    stages = "[shadow]" if mode == "shadow" else "[50%]"
    world = World(mode=mode, requests=200)
    decision = taken(
        policy(GUARDRAILS, mode=mode, stages=stages), messages({field: NEVER}, world=world)
    ).decision()
    assert decision.not_measured == metrics
    assert (decision.verdict, decision.alerts) == ("promote", [])
    for metric in metrics:
        evidence = evidence_of(decision, metric)
        assert (evidence.status, evidence.units, evidence.units_closed) == ("waiting", 0, 0)
        assert (evidence.candidate, evidence.stable, evidence.harm) == (None, None, None)
    others = [one for one in BY_FIELD if one != field]
    for metric in (metric for one in others for metric in BY_FIELD[one]):
        assert evidence_of(decision, metric).status == "pass"


@pytest.mark.parametrize(("field", "metrics"), BY_FIELD.items())
def test_a_metric_that_must_be_measured_holds(field: str, metrics: list[str]) -> None:
    must = GUARDRAILS.replace("if_measured", "all")
    decision = taken(policy(must), messages({field: NEVER})).decision()
    assert decision.verdict == "hold"
    assert decision.missing == [f"{metric}/all" for metric in metrics]


def test_a_field_that_only_some_events_need_counts_all_requests_from_the_beginning() -> None:
    """A gateway writes `fallback` on those that needed one: the first of them comes late."""
    decision = taken(policy(GUARDRAILS), messages({"fallback_known": 30})).decision()
    assert evidence_of(decision, "fallback_rate").units == 40 * 200
    assert evidence_of(decision, "fallback_rate").status == "pass"


@pytest.mark.parametrize(
    ("field", "metric"), [("content", "empty_rate"), ("finish_reason_known", "incomplete_rate")]
)
def test_what_came_before_a_field_whose_lack_looks_like_harm_is_left_out(
    field: str, metric: str
) -> None:
    """Who begins to write texts must not be rolled back for all the answers that had none."""
    decision = taken(policy(GUARDRAILS), messages({field: 30})).decision()
    evidence = evidence_of(decision, metric)
    assert evidence.units == evidence.units_closed == 10 * 200
    assert evidence.candidate == 0.0
    assert (decision.verdict, decision.alerts) == ("promote", [])


def test_a_harm_that_needs_no_field_is_seen_without_it() -> None:
    """A vendor's finish reason may say that a call is broken where none was made."""
    broken = []
    for message in messages({"tools_called": NEVER}):
        rows = []
        for row in message.rows:
            n = row.candidate.answers // 2
            side = msgspec.structs.replace(row.candidate, tool_calls_invalid=n)
            pair = msgspec.structs.replace(row.pair, tool_call_invalid_only_candidate=n)
            rows.append(msgspec.structs.replace(row, candidate=side, pair=pair))
        broken.append(replaced(message, rows=rows))
    decision = taken(policy(GUARDRAILS), broken).decision()
    assert decision.verdict == "rollback"
    assert decision.reasons[0].startswith("broken tool calls")


LATER = {
    "fallback_known": 12,
    "texts": 7,
    "content": 8,
    "finish_reason_known": 21,
    "tools_called": 9,
}


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_many_windows_at_once_and_a_state_that_was_stored_give_the_same_bytes(mode: str) -> None:
    stages = "[shadow, 5%]" if mode == "shadow" else "[50%]"
    guardrails = GUARDRAILS.replace("}", ", slices: [all, each language]}")
    rollout = policy(guardrails, mode=mode, stages=stages, rest="promotion: automatic")
    some = messages(LATER, world=World(mode=mode, requests=200))
    single, stored = RolloutEvaluator(rollout), RolloutEvaluator(rollout)
    expected, restored = list[Decision](), list[Decision]()
    for message in some:
        expected += [one for one in [single.take(message)] if one and not one.is_refresh]
        restored += [one for one in [stored.take(message)] if one and not one.is_refresh]
        stored = RolloutEvaluator(rollout, stored.encode_state())
    at_once = RolloutEvaluator(rollout)
    rows = [row for message in some for row in message.rows]
    found = at_once.take_closed(closed_rows(rollout, rows))
    assert len(expected) > 0
    assert shown(found) == shown(restored) == shown(expected)
    assert shown([at_once.decision()]) == shown([stored.decision()]) == shown([single.decision()])
