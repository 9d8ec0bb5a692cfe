"""A changed policy: evidence begins anew, what an operator or a breach latched does not."""

from __future__ import annotations

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.state import decode_header
from understudy.schemas.rollouts import Rollout


def successor(rollout: Rollout, previous: Rollout, state: bytes) -> RolloutEvaluator:
    """Return an evaluator under a new policy, at the stage of the same name or at the first.

    A rollback stays latched. The time stays too, so that no decision is dated 1970.
    """
    status = decode_header(state).status
    evaluator = RolloutEvaluator(rollout, stage=_same_stage(rollout, previous, status.stage))
    evaluator.inherit(status)
    return evaluator


def _same_stage(rollout: Rollout, previous: Rollout, stage: int) -> int:
    names = [one.name for one in rollout.stages]
    name = previous.stages[stage].name if stage < len(previous.stages) else ""
    return names.index(name) if name in names else 0
