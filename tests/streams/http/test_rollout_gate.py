"""Which decision opens the gate, which closes it, and which says nothing yet."""

from __future__ import annotations

import datetime as dt
import re

import msgspec
import pytest

from tests.streams.http.views import BROKEN, ERRORS, LOSSY, NOW, decided, policy, rollout_view, view
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import RolloutManifest
from understudy.streams.http.materialized_view import MaterializedView, ViewUpdate
from understudy.streams.http.rollout_gate import Gate, Present, UnknownStage, gate, gate_of

Judged = tuple[str, bool | None]
PASS: Judged = ("pass", True)
FAIL: Judged = ("fail", False)
HELD: Judged = ("inconclusive", True)
OPEN: Judged = ("inconclusive", None)


def judged(found: Gate) -> Judged:
    return found.verdict, found.ok


PRESENT = Present(NOW, dt.timedelta(minutes=15))


def opened(
    manifest: RolloutManifest,
    decision: Decision | None,
    stage: str | None = None,
    present: Present = PRESENT,
) -> Gate:
    return gate(rollout_view(manifest, decision), stage, present)


def asked(made: MaterializedView, rollout_id: str) -> Gate:
    return gate_of(made, rollout_id, None, PRESENT)


def later(**passed: float) -> Present:
    return Present(NOW + dt.timedelta(**passed), PRESENT.max_age)


def promoted(evaluator: RolloutEvaluator, times: int) -> Decision:
    for _ in range(times):
        evaluator.promote()
    return evaluator.decision()


@pytest.mark.parametrize(
    ("windows", "promotions", "stage", "expected"),
    [
        (5, 0, None, HELD),
        (5, 0, "shadow", HELD),
        (45, 0, "shadow", PASS),  # a promote verdict for this stage
        (45, 0, "half", HELD),
        (45, 0, None, HELD),
        (45, 1, "shadow", PASS),  # it is behind
        (45, 1, "half", HELD),
        (45, 2, "half", PASS),
        (45, 2, "whole", PASS),  # the candidate has everything
        (45, 2, None, PASS),
    ],
)
def test_a_stage_passes_once_it_may_be_left(
    windows: int, promotions: int, stage: str | None, expected: Judged
) -> None:
    manifest = policy()
    decision = promoted(decided(manifest, windows=windows), promotions)
    assert judged(opened(manifest, decision, stage)) == expected


def test_without_a_stage_the_last_one_counts() -> None:
    manifest = policy(stages="[shadow]")
    assert judged(opened(manifest, decided(manifest, windows=5).decision())) == HELD
    assert judged(opened(manifest, decided(manifest).decision())) == PASS


def test_a_rollback_fails_whatever_was_reached() -> None:
    manifest = policy()
    evaluator = decided(manifest)
    evaluator.promote()
    decision = evaluator.kill("paged at three")
    for stage in (None, "", "shadow", "half", "no such stage"):
        found = opened(manifest, decision, stage)
        assert (judged(found), found.score, found.reason) == (FAIL, 0.0, "paged at three")


def test_a_measured_rollback_gives_its_reason() -> None:
    manifest = policy()
    found = opened(manifest, decided(manifest, BROKEN).decision())
    assert judged(found) == FAIL
    assert found.reason.startswith("error rate over all requests rose")


def test_after_resuming_it_is_open_again() -> None:
    manifest = policy()
    evaluator = decided(manifest, BROKEN)
    evaluator.resume()
    assert judged(opened(manifest, evaluator.decision())) == HELD


def test_what_speaks_against_going_on_is_neither_yes_nor_no() -> None:
    pausing = policy("{metric: error_rate, max_increase: 2pp, action: pause}")
    paused = decided(pausing, BROKEN).decision()
    assert paused.is_paused
    assert judged(opened(pausing, paused)) == OPEN
    manifest = policy()
    lossy = decided(manifest, LOSSY).decision()
    assert lossy.quality.breaches == ["unmatched_share"]
    assert judged(opened(manifest, lossy)) == OPEN
    held = decided(manifest, windows=5).decision()
    suspected = msgspec.structs.replace(held, missing=[*held.missing, "suspected_harm"])
    assert judged(opened(manifest, suspected)) == OPEN


def test_a_pause_is_no_pass_for_a_stage_behind() -> None:
    manifest = policy("{metric: error_rate, max_increase: 2pp, action: pause}")
    evaluator = decided(manifest)
    evaluator.promote()
    paused = msgspec.structs.replace(evaluator.decision(), is_paused=True)
    assert judged(opened(manifest, paused, "shadow")) == OPEN


def test_a_changed_policy_waits_for_its_own_decision() -> None:
    before, after = policy(), policy("{metric: error_rate, max_increase: 1pp}")
    found = opened(after, decided(before).decision(), "shadow")
    assert judged(found) == OPEN
    assert "earlier policy" in found.reason


def test_a_policy_that_cannot_be_used_is_open() -> None:
    manifest = policy()
    decision = decided(manifest, windows=5).decision()
    broken = msgspec.structs.replace(manifest, max_late_share="many")
    found = opened(broken, decision)
    assert judged(found) == OPEN
    assert "many" in found.reason


def test_score_is_the_share_of_required_guardrails_that_passed() -> None:
    manifest = policy(ERRORS + ", {metric: json_valid_rate, max_drop: 0.1pp}")
    decision = decided(manifest).decision()
    assert [one.status for one in decision.evidence if one.required] == ["pass", "open"]
    assert opened(manifest, decision).score == 0.5
    assert opened(manifest, decided(manifest, windows=0).decision()).score == 0.0
    unseen = [*decision.missing, "json_valid_rate/any slice"]
    without_slices = msgspec.structs.replace(decision, missing=unseen)
    assert opened(manifest, without_slices).score == pytest.approx(1 / 3)


def test_what_is_not_known_is_open() -> None:
    manifest = policy()
    assert judged(asked(view(), "nobody")) == OPEN
    undecided = view(rollout_view(manifest, None))
    assert judged(asked(undecided, manifest.rollout_id)) == OPEN
    killed = rollout_view(manifest, decided(manifest, windows=0).kill("no"))
    half_read = view(killed, is_complete=False)
    assert judged(asked(half_read, manifest.rollout_id)) == OPEN
    assert judged(asked(view(killed), manifest.rollout_id)) == FAIL


def test_what_cannot_be_read_is_open() -> None:
    manifest = policy()
    made = view(rollout_view(manifest, decided(manifest, windows=0).kill("no")))
    made.apply([ViewUpdate("decision", manifest.rollout_id, b'{"schema_version": 99}')])
    found = asked(made, manifest.rollout_id)
    assert judged(found) == OPEN
    assert "schema version 99" in found.reason
    made.apply([ViewUpdate("rollout", manifest.rollout_id, b"{}")])
    assert judged(asked(made, manifest.rollout_id)) == OPEN


def test_names_from_outside_are_made_printable() -> None:
    assert "\x1b" not in asked(view(), "a\x1b[31m").reason
    manifest = policy()
    assert "\n" not in opened(manifest, decided(manifest, windows=0).kill("a\nb")).reason


def test_without_an_event_nothing_opens() -> None:
    """A policy is answered by a decision at once, which rests on nothing."""
    manifest = policy()
    decision = decided(manifest, windows=0).decision()
    for stage in (None, "shadow", "whole"):
        found = opened(manifest, decision, stage)
        assert (judged(found), found.reason) == (OPEN, "no event has been counted yet")


def test_old_windows_open_nothing_whatever_they_said() -> None:
    manifest = policy()
    holding = decided(manifest, windows=5).decision()
    passed = promoted(decided(manifest), 2)
    assert holding.windows_until == dt.datetime(2026, 3, 2, 12, 0, 50, tzinfo=dt.UTC)
    for decision, stage in ((holding, None), (passed, None), (passed, "shadow")):
        assert judged(opened(manifest, decision, stage, later(minutes=5))) in (HELD, PASS)
        found = opened(manifest, decision, stage, later(minutes=15))
        assert (judged(found), found.score) == (OPEN, 0.0)
    found = opened(manifest, holding, None, later(days=1, minutes=0))
    assert (
        found.reason == "the newest window ended 1,449 min ago; events have ceased, or lag behind"
    )


def test_windows_of_the_future_open_nothing() -> None:
    manifest = policy()
    found = opened(manifest, decided(manifest).decision(), None, later(hours=-1))
    assert judged(found) == OPEN
    assert "a clock is wrong" in found.reason


def test_a_rollback_never_ages() -> None:
    manifest = policy()
    for decision in (
        decided(manifest, BROKEN).decision(),
        decided(manifest).kill("tone"),
        decided(manifest, windows=0).kill("tone"),
    ):
        assert judged(opened(manifest, decision, None, later(days=400))) == FAIL


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("", "stage is empty; leave it out, or name one of shadow, half, whole"),
        ("shadwo", "the policy has no stage shadwo; did you mean shadow?"),
        ("quarter", "the policy has no stage quarter"),
    ],
)
def test_a_stage_that_there_is_not_is_an_error_not_a_laxer_question(stage: str, words: str) -> None:
    manifest = policy()
    for decision in (None, decided(manifest, windows=0).decision(), decided(manifest).decision()):
        with pytest.raises(UnknownStage, match=re.escape(words)):
            opened(manifest, decision, stage)
