"""Allocations set by hand."""

from __future__ import annotations

import datetime as dt

from understudy.gateways.allocation import Allocation
from understudy.gateways.decision_source import DecisionSource, FixedAllocations

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def allocation(rollout_id: str, share: float) -> Allocation:
    return Allocation(
        rollout_id=rollout_id, mode="canary", candidate_share=share, mirror_share=0.0,
        verdict="hold", stage="5%", decided_at=NOW, written_at=NOW,
    )  # fmt: skip


def test_answers_what_was_set_last_until_it_is_deleted() -> None:
    fixed = FixedAllocations(allocation("a", 0.05), allocation("b", 0.25))
    source: DecisionSource = fixed
    assert source.allocation("a") == allocation("a", 0.05)
    fixed.set(allocation("a", 0.5))
    assert source.allocation("a") == allocation("a", 0.5)
    fixed.delete("a")
    fixed.delete("unknown")
    assert source.allocation("a") is None
    assert source.allocation("b") == allocation("b", 0.25)
    source.close()
