"""What receivers are notified of when a side answers otherwise than it did. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from understudy.streams.alerting.alarms import Alarm


@dataclass(frozen=True, slots=True)
class DriftNotice:
    """The drift of a rollout's sides now; none where it has ended."""

    rollout_id: str
    partition: int
    """Of the rollout's decisions: the worker that has it notifies."""
    alarms: tuple[Alarm, ...]
    """One for each side that has changed."""

    @property
    def sides(self) -> frozenset[str]:
        """Which sides have changed."""
        return frozenset(alarm.guardrail for alarm in self.alarms)

    @property
    def digest(self) -> str:
        """Identifies what is told: the same text has the same digest."""
        parts = [self.rollout_id, *(alarm.description for alarm in self.alarms)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
