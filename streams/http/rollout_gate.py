"""A decision as a gate: may the tool that rolls out continue? Pure."""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.api import Gate
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import PolicyError, Rollout, compile_manifest, policy_hash
from understudy.streams.http.materialized_view import (
    MaterializedView,
    RolloutView,
    UnreadableRecord,
)

INCOMPLETE: Final = Gate(
    "inconclusive", None, 0.0, "this worker has not read the topics to their ends yet"
)
_SUSPECTED: Final = "suspected_harm"


def gate_of(view: MaterializedView, rollout_id: str, stage: str = "") -> Gate:
    """The gate of a rollout, whether or not a rollout of that id exists."""
    if not view.is_complete:
        return INCOMPLETE
    try:
        rollout = view.find(rollout_id)
        view.newest_decision(rollout_id)  # an unreadable one is not the same as none
    except UnreadableRecord as error:
        return _unknown(str(error))
    if rollout is None:
        return _unknown(f"there is no rollout {rollout_id}")
    return gate(rollout, stage)


def gate(view: RolloutView, stage: str = "") -> Gate:
    """Pass once the stage is over or may end; it is the last one unless named."""
    decision = view.decision
    if decision is None:
        return _unknown("there is no decision about this rollout yet")
    if decision.verdict == "rollback":
        return Gate("fail", False, 0.0, _reason(decision))
    try:
        rollout = compile_manifest(view.record.manifest)
    except PolicyError as error:
        return _unknown(f"this release cannot use the policy: {error.problem}")
    names = [one.name for one in rollout.stages]
    if stage and stage not in names:
        return _unknown(f"the policy has no stage {stage}; it has {', '.join(names)}")
    if decision.policy_hash != policy_hash(rollout):
        return _unknown("the newest decision was made under an earlier policy")
    return _progress(rollout, decision, names.index(stage) if stage else len(names) - 1)


def _progress(rollout: Rollout, decision: Decision, target: int) -> Gate:
    if decision.is_paused:
        return _unknown(_reason(decision), _score(decision))
    at = decision.stage.index
    if at > target:
        return Gate("pass", True, 1.0, f"already in stage {printable(decision.stage.stage.name)}")
    has_all_requests = at + 1 == len(rollout.stages) and decision.stage.stage.share >= 1.0
    if at == target and (decision.verdict == "promote" or has_all_requests):
        return Gate("pass", True, 1.0, _reason(decision))
    ok = None if decision.quality.breaches or _SUSPECTED in decision.missing else True
    return Gate("inconclusive", ok, _score(decision), _reason(decision))


def _unknown(reason: str, score: float = 0.0) -> Gate:
    return Gate("inconclusive", None, score, printable(reason))


def _score(decision: Decision) -> float:
    required = [one.status for one in decision.evidence if one.required]
    return required.count("pass") / len(required) if required else 0.0


def _reason(decision: Decision) -> str:
    return printable(decision.reasons[0]) if decision.reasons else ""
