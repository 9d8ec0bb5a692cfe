"""The status of a rollout, from its record and newest decision. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from understudy.schemas.api import RolloutDetail, RolloutStatus
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import PolicyError, Rollout, compile_manifest, policy_hash

_BEGINNING: Final = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
"""Nothing was decided before; a rollout killed before its first window is dated 1970."""


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The policy in force, or why this release cannot use it."""

    rollout: Rollout | None
    hash: str | None = None
    problem: str = ""


def policy_in(record: RolloutRecord) -> PolicyInForce:
    """Return the policy of a record, compiled if this release can use it."""
    try:
        rollout = compile_manifest(record.manifest)
    except PolicyError as error:
        return PolicyInForce(None, problem=error.problem)
    return PolicyInForce(rollout, policy_hash(rollout))


def status_of(record: RolloutRecord, decision: Decision | None) -> RolloutStatus:
    """Return the status of a rollout."""
    return _status(record, policy_in(record), decision)


def detail_of(record: RolloutRecord, decision: Decision | None) -> RolloutDetail:
    """Return all there is about a rollout."""
    policy = policy_in(record)
    return RolloutDetail(
        status=_status(record, policy, decision),
        manifest=record.manifest,
        policy=policy.rollout,
        policy_hash=policy.hash,
        policy_problem=policy.problem,
        commands=record.commands,
    )


def statuses(
    records: Mapping[str, RolloutRecord], decisions: Mapping[str, Decision]
) -> list[RolloutStatus]:
    """Return the statuses of all rollouts."""
    return [status_of(record, decisions.get(name)) for name, record in records.items()]


def when(time: dt.datetime) -> dt.datetime | None:
    """Return the time, or None when it lies before any event."""
    return time if time > _BEGINNING else None


def _status(
    record: RolloutRecord, policy: PolicyInForce, decision: Decision | None
) -> RolloutStatus:
    if decision is None:
        return _waiting(record.manifest.rollout_id, policy)
    progress = decision.stage
    return RolloutStatus(
        rollout_id=decision.rollout_id,
        verdict=decision.verdict,
        stage=progress.stage.name,
        mode=progress.stage.mode,
        next_stage=progress.next,
        candidate_share=decision.candidate_share,
        since=when(decision.since),
        decided_at=when(decision.decided_at),
        sequence=decision.sequence,
        windows_until=decision.windows_until,
        is_latched=decision.is_latched,
        is_paused=decision.is_paused,
        is_outdated=policy.hash != decision.policy_hash,
        reasons=decision.reasons,
        alerts=[alert.sentence for alert in decision.alerts],
    )


def _waiting(rollout_id: str, policy: PolicyInForce) -> RolloutStatus:
    stages = policy.rollout.stages if policy.rollout else ()
    names = [stage.name for stage in stages[:2]] + [None, None]
    return RolloutStatus(
        rollout_id=rollout_id,
        verdict="waiting",
        stage=names[0],
        mode=stages[0].mode if stages else None,
        next_stage=names[1],
        candidate_share=None,
        since=None,
        decided_at=None,
        sequence=0,
        windows_until=None,
        is_latched=False,
        is_paused=False,
        is_outdated=False,
        reasons=[],
        alerts=[],
    )
