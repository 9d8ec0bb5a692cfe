"""A decision as a gate: may whoever rolls out go on? Pure."""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.api import Gate
from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import PolicyError, Rollout, compile_manifest, policy_hash
from understudy.streams.http.materialized_view import MaterializedView, Standing, Unreadable

UNREAD: Final = Gate("inconclusive", None, 0.0, "the topics have not been read to their ends yet")
_SUSPECTED: Final = "suspected_harm"


def gate_of(view: MaterializedView, rollout_id: str, stage: str = "") -> Gate:
    """The gate of a rollout, whether or not there is one of that name."""
    if not view.is_complete:
        return UNREAD
    try:
        standing = view.find(rollout_id)
        view.told(rollout_id)  # one that cannot be read is not the same as none
    except Unreadable as error:
        return _open(str(error))
    if standing is None:
        return _open(f"no rollout {rollout_id} is known")
    return gate(standing, stage)


def gate(standing: Standing, stage: str = "") -> Gate:
    """Pass once a stage is behind or may be left; the last stage unless one is named."""
    decision = standing.decision
    if decision is None:
        return _open("nothing was decided yet")
    if decision.verdict == "rollback":
        return Gate("fail", False, 0.0, _reason(decision))
    try:
        rollout = compile_manifest(standing.record.manifest)
    except PolicyError as error:
        return _open(f"the policy cannot be used: {error.problem}")
    names = [one.name for one in rollout.stages]
    if stage and stage not in names:
        return _open(f"the policy has no stage {stage}, but {', '.join(names)}")
    if decision.policy_hash != policy_hash(rollout):
        return _open("what was decided is about an earlier policy")
    return _progress(rollout, decision, names.index(stage) if stage else len(names) - 1)


def _progress(rollout: Rollout, decision: Decision, target: int) -> Gate:
    if decision.is_paused:
        return _open(_reason(decision), _score(decision))
    at = decision.stage.index
    if at > target:
        return Gate("pass", True, 1.0, f"in stage {printable(decision.stage.stage.name)} already")
    is_whole = at + 1 == len(rollout.stages) and decision.stage.stage.share >= 1.0
    if at == target and (decision.verdict == "promote" or is_whole):
        return Gate("pass", True, 1.0, _reason(decision))
    ok = None if decision.quality.breaches or _SUSPECTED in decision.missing else True
    return Gate("inconclusive", ok, _score(decision), _reason(decision))


def _open(reason: str, score: float = 0.0) -> Gate:
    return Gate("inconclusive", None, score, printable(reason))


def _score(decision: Decision) -> float:
    required = [one.standing for one in decision.evidence if one.required]
    return required.count("pass") / len(required) if required else 0.0


def _reason(decision: Decision) -> str:
    return printable(decision.reasons[0]) if decision.reasons else ""
