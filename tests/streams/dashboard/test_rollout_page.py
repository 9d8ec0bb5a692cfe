"""The page of one rollout: from a record and a decision to what is shown."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.streams.demo.decisions import AT, ROLLED_BACK, decision, evidence
from tests.streams.http.views import policy
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.dashboard.rollout_page import policy_text, rollout_page

RECORD = RolloutRecord(manifest=policy())
NOW = AT + dt.timedelta(minutes=1)


def test_before_the_first_decision_the_stages_are_there_and_nothing_else() -> None:
    page = rollout_page(RECORD, None, NOW)
    assert [(one.name, one.state) for one in page.stages] == [
        ("shadow", "current"), ("half", "next"), ("whole", "next"),
    ]  # fmt: skip
    assert [one.share for one in page.stages] == ["", "50 %", "100 %"]
    assert page.models == ("heron-4", "heron-5")
    assert (page.progress, page.together, page.slices, page.heat) == ([], [], [], None)


def test_progress_is_held_against_what_the_stage_needs() -> None:
    page = rollout_page(RECORD, decision("hold", requests=4_000, duration_s=720.0), NOW)
    assert [(one.text, one.share) for one in page.progress] == [
        ("4,000 of 8,000", 0.5), ("12 min of 6 min", 1.0),
    ]  # fmt: skip


def test_the_worst_findings_come_first_and_slices_only_where_worse() -> None:
    fine = msgspec.structs.replace(evidence("all", metric="error_rate"), interval=(-0.1, 0.001))
    broken = msgspec.structs.replace(evidence("all"), status="breach")
    better = msgspec.structs.replace(evidence("language:de"), interval=(-0.1, -0.01))
    page = rollout_page(RECORD, decision("hold", fine, broken, better, evidence()), NOW)
    assert [row.guardrail for row in page.together] == ["json_valid_rate", "error_rate"]
    assert [row.slice_title for row in page.slices] == ["zh-Hans"]


def test_a_stage_that_is_passed_is_done() -> None:
    later = msgspec.structs.replace(
        ROLLED_BACK, stage=msgspec.structs.replace(ROLLED_BACK.stage, index=1)
    )
    states = [one.state for one in rollout_page(RECORD, later, NOW).stages]
    assert states == ["done", "current", "next"]


def test_figures_that_are_old_are_said_to_be() -> None:
    old = msgspec.structs.replace(decision("hold"), windows_until=AT)
    assert rollout_page(RECORD, old, AT + dt.timedelta(minutes=20)).silence == "20 min"
    assert rollout_page(RECORD, old, NOW).silence == ""


def test_reasons_of_a_rollback_are_older_than_the_figures_that_go_on() -> None:
    decided = ROLLED_BACK.since
    later = msgspec.structs.replace(
        ROLLED_BACK, is_latched=True, windows_until=decided + dt.timedelta(minutes=3)
    )
    assert rollout_page(RECORD, later, NOW).is_frozen
    now = msgspec.structs.replace(later, windows_until=decided)
    assert not rollout_page(RECORD, now, NOW).is_frozen
    assert not rollout_page(RECORD, decision("hold"), NOW).is_frozen


def test_the_policy_is_shown_as_yaml_without_characters_that_act() -> None:
    hostile = msgspec.structs.replace(
        RECORD, manifest=msgspec.structs.replace(RECORD.manifest, rollout_id="a\u202eb")
    )
    text = policy_text(hostile)
    assert "rollout_id" in text
    assert "\u202e" not in text
    assert "\n" in text
