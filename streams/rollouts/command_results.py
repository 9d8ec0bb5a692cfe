"""Whether a decision shows that what an operator asked for was done."""

from __future__ import annotations

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import CommandKind, RolloutRecord
from understudy.schemas.rollouts import PolicyError, compile_manifest, policy_hash


def is_done(kind: CommandKind, before: Decision | None, now: Decision | None) -> bool:
    """Whether the decision of now is one after the command."""
    if now is None:
        return False
    if kind == "kill":
        return now.is_latched
    if kind == "resume":
        return not now.is_latched and not now.is_paused
    return now.stage.index > (before.stage.index if before else 0)


def cannot_be_done(record: RolloutRecord, kind: CommandKind, now: Decision | None) -> str:
    """Why nobody could obey; empty where somebody may."""
    if kind != "promote":
        return ""
    try:
        rollout = compile_manifest(record.manifest)
    except PolicyError:
        return ""  # whoever decides says so
    is_current = now is not None and now.policy_hash == policy_hash(rollout)
    index = now.stage.index if now is not None and is_current else 0
    if index + 1 < len(rollout.stages):
        return ""
    return f"{rollout.rollout_id} is at its last stage, {rollout.stages[-1].name}"
