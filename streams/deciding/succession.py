"""A changed policy: evidence begins anew, what an operator or a breach latched does not."""

from __future__ import annotations

from typing import Any

from understudy.schemas.rollouts import Rollout
from understudy.streams.deciding.decider import Decider
from understudy.streams.deciding.state import Standing


def successor(rollout: Rollout, previous: Rollout, kept: dict[str, Any]) -> Decider:
    """A decider under a new policy, at the stage of the same name or at the first.

    A rollback stays latched. The watermark stays too, so that no decision is dated 1970.
    """
    old = _standing(kept)
    begun = Decider(rollout, stage=_same_stage(rollout, previous, old["stage"])).to_builtins()
    new = _standing(begun)
    new["rolled_back"], new["watermark_ms"] = old["rolled_back"], old["watermark_ms"]
    begun["head"]["standing"] = list(new.values())
    return Decider(rollout, begun)


def has_begun(kept: dict[str, Any]) -> bool:
    """Whether it has seen any window."""
    return bool(_standing(kept)["watermark_ms"])


def _standing(kept: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(Standing.__slots__, kept["head"]["standing"], strict=True))


def _same_stage(rollout: Rollout, previous: Rollout, stage: int) -> int:
    names = [one.name for one in rollout.stages]
    name = previous.stages[stage].name if stage < len(previous.stages) else ""
    return names.index(name) if name in names else 0
