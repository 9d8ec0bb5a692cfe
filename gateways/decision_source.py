"""Where a gateway asks what the newest decision about a rollout allocates."""

from __future__ import annotations

from typing import Protocol

from understudy.gateways.allocation import Allocation


class DecisionSource(Protocol):
    """Answers from memory: the request path never waits for it."""

    def allocation(self, rollout_id: str) -> Allocation | None:
        """Return what the newest decision allocates, however old it is; None without one."""

    def close(self) -> None:
        """Stop following decisions."""


class FixedAllocations:
    """Allocations that a test, or a person, sets by hand."""

    def __init__(self, *allocations: Allocation) -> None:
        self._allocations = {one.rollout_id: one for one in allocations}

    def allocation(self, rollout_id: str) -> Allocation | None:
        """Return what was set for the rollout."""
        return self._allocations.get(rollout_id)

    def set(self, allocation: Allocation) -> None:
        """Replace the allocation of its rollout."""
        self._allocations[allocation.rollout_id] = allocation

    def delete(self, rollout_id: str) -> None:
        """Forget the allocation of a rollout, as when the rollout is deleted."""
        self._allocations.pop(rollout_id, None)

    def close(self) -> None:
        """Do nothing: nothing is followed."""
