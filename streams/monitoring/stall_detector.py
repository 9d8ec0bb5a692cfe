"""Detects partitions that have records to read and make no progress. Pure; time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from understudy.schemas.windows import Source


class SourcePartition(NamedTuple):
    """A partition of the topic of a source."""

    source: Source
    partition: int

    def __str__(self) -> str:
        return f"partition {self.partition} of {self.source}"


@dataclass(frozen=True, slots=True)
class StalledPartition:
    """A partition that has records to read and whose position does not move."""

    place: SourcePartition
    position: int
    lag: int
    stalled_s: float


@dataclass(slots=True)
class StallDetector:
    """Remembers since when each partition has been at its position with records to read."""

    stall_timeout_s: float
    _since: dict[SourcePartition, tuple[int, float]] = field(default_factory=dict)
    _ends: dict[SourcePartition, int] = field(default_factory=dict)

    def observe(
        self,
        positions: Mapping[SourcePartition, int],
        ends: Mapping[SourcePartition, int],
        now_s: float,
    ) -> None:
        """Record the positions, and the ends of the log as far as they are known.

        A rewind is progress, too. A partition without records to read never stalls.
        """
        self._ends = {place: ends.get(place, self._ends.get(place, 0)) for place in positions}
        for place, position in positions.items():
            before, _ = self._since.get(place, (None, now_s))
            if position != before or position >= self._ends[place]:
                self._since[place] = (position, now_s)
        for gone in self._since.keys() - positions.keys():
            del self._since[gone]

    def nothing_to_read(self, place: SourcePartition, now_s: float) -> None:
        """Restart the clock: what lies there is never delivered (markers of transactions)."""
        if place in self._since:
            self._since[place] = (self._since[place][0], now_s)

    def suspects(self, now_s: float) -> list[StalledPartition]:
        """Partitions that have not moved for `stall_timeout_s` although they have a lag."""
        return [
            StalledPartition(place, position, self._ends[place] - position, now_s - since_s)
            for place, (position, since_s) in sorted(self._since.items())
            if self._ends[place] > position and now_s - since_s >= self.stall_timeout_s
        ]
