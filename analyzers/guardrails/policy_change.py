"""A changed policy: evidence begins anew, what an operator or a breach latched does not."""

from __future__ import annotations

from typing import Any

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.state import Standing
from understudy.schemas.rollouts import Rollout


def successor(rollout: Rollout, previous: Rollout, kept: dict[str, Any]) -> RolloutEvaluator:
    """An evaluator under a new policy, at the stage of the same name or at the first.

    A rollback stays latched. What time it is stays too, so that no decision is dated 1970.
    """
    old = _standing(kept)
    begun = RolloutEvaluator(
        rollout, stage=_same_stage(rollout, previous, old["stage"])
    ).to_builtins()
    new = _standing(begun)
    for name in ("rolled_back", "watermark_ms", "told_ms"):
        new[name] = old[name]
    begun["head"]["standing"] = list(new.values())
    return RolloutEvaluator(rollout, begun)


def _standing(kept: dict[str, Any]) -> dict[str, Any]:
    """By name; what an earlier release did not know yet is as at the beginning."""
    written = kept["head"]["standing"]
    standing = Standing(*written)
    return {
        name: written[at] if at < len(written) else getattr(standing, name)
        for at, name in enumerate(Standing.__slots__)
    }


def _same_stage(rollout: Rollout, previous: Rollout, stage: int) -> int:
    names = [one.name for one in rollout.stages]
    name = previous.stages[stage].name if stage < len(previous.stages) else ""
    return names.index(name) if name in names else 0
