"""A decision as a gate: may whoever rolls out go on? Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.schemas.decisions import Decision
from understudy.schemas.rollouts import PolicyError, Rollout, compile_manifest, policy_hash
from understudy.streams.api.board import Standing

GateVerdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Pass, fail, or neither yet."""

    verdict: GateVerdict
    ok: bool
    """Whether nothing speaks against going on: the rollout is known and not rolled back."""
    score: float
    """Share of the required guardrails that are shown to be within their limits; 1 on pass."""
    reason: str


UNREAD = Gate("inconclusive", False, 0.0, "the topics have not been read to their ends yet")


def gate(standing: Standing, stage: str = "") -> Gate:
    """Pass once a stage is behind or may be left; the last stage unless one is named."""
    decision = standing.decision
    if decision is None:
        return Gate("inconclusive", True, 0.0, "nothing was decided yet")
    if decision.verdict == "rollback":
        return Gate("fail", False, 0.0, _reason(decision))
    try:
        rollout = compile_manifest(standing.record.manifest)
    except PolicyError as error:
        return Gate("inconclusive", False, 0.0, f"the policy cannot be used: {error.problem}")
    names = [one.name for one in rollout.stages]
    if stage and stage not in names:
        return Gate("inconclusive", False, 0.0, f"the policy has no stage {stage}: {names}")
    return _progress(rollout, decision, names.index(stage) if stage else len(names) - 1)


def _progress(rollout: Rollout, decision: Decision, target: int) -> Gate:
    score = _score(decision)
    if decision.policy_hash != policy_hash(rollout):
        return Gate("inconclusive", True, 0.0, "what was decided is about an earlier policy")
    if decision.is_paused:
        return Gate("inconclusive", True, score, _reason(decision))
    if decision.stage.index > target:
        return Gate("pass", True, 1.0, f"in stage {decision.stage.stage.name} already")
    if decision.stage.index == target and decision.verdict == "promote":
        return Gate("pass", True, 1.0, _reason(decision))
    return Gate("inconclusive", True, score, _reason(decision))


def _score(decision: Decision) -> float:
    required = [one.standing for one in decision.evidence if one.required]
    return required.count("pass") / len(required) if required else 0.0


def _reason(decision: Decision) -> str:
    return decision.reasons[0] if decision.reasons else ""
