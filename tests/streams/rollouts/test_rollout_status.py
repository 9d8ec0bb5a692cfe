"""A rollout's record and its newest decision, in short and at length."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.streams.rollouts.records import evaluator, killed, manifest
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.streams.rollouts.rollout_status import detail_of, status_of, statuses, when

RECORD = RolloutRecord(manifest=manifest())
CHANGED = RolloutRecord(manifest=manifest(more="min_requests: 7"))
UNUSABLE = RolloutRecord(manifest=msgspec.structs.replace(manifest(), stages=["canary"]))


def test_before_the_first_decision_a_rollout_waits_at_its_first_stage() -> None:
    status = status_of(RECORD, None)
    assert (status.verdict, status.stage, status.next_stage) == ("waiting", "shadow", "5%")
    assert status.mode == "shadow"
    assert (status.candidate_share, status.since, status.decided_at) == (None, None, None)


def test_a_decision_is_summed_up() -> None:
    decision = killed("tone")
    status = status_of(RECORD, decision)
    assert (status.verdict, status.is_latched) == ("rollback", True)
    assert status.reasons == decision.reasons
    assert status.candidate_share == 0.0
    assert not status.is_outdated


def test_a_decision_under_another_policy_is_outdated() -> None:
    assert status_of(CHANGED, evaluator().decision()).is_outdated


def test_at_length_the_policy_is_spelled_out() -> None:
    detail = detail_of(RECORD, None)
    rollout = compile_manifest(RECORD.manifest)
    assert (detail.policy, detail.policy_hash) == (rollout, policy_hash(rollout))
    assert detail.policy_problem == ""


def test_a_policy_that_this_release_cannot_use_says_why() -> None:
    detail = detail_of(UNUSABLE, None)
    assert (detail.policy, detail.policy_hash) == (None, None)
    assert detail.policy_problem
    assert (detail.status.verdict, detail.status.stage) == ("waiting", None)


def test_each_rollout_gets_its_own_decision() -> None:
    records = {"checkout": RECORD, "search": RolloutRecord(manifest=manifest("search"))}
    found = statuses(records, {"checkout": killed()})
    assert [(one.rollout_id, one.verdict) for one in found] == [
        ("checkout", "rollback"), ("search", "waiting"),
    ]  # fmt: skip


def test_times_before_anything_was_seen_are_none() -> None:
    noon = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert when(noon) == noon
    assert when(dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)) is None
