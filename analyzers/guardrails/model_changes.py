"""A side that answers with another model than when the stage began.

Providers move an alias to a new snapshot, a gateway routes elsewhere: from then on another model is
compared than the one that the evidence so far is about. That is no harm by itself and rolls nothing
back; whoever reads the verdict must know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import field

from understudy.schemas.measure_kinds import OTHER_NAMES

KNOWN_AFTER: Final = 200
"""Requests of a side after which the models that it began with count as known: one that has a
fiftieth of the traffic is among them in 98 of 100 stages."""
ENOUGH_OF_ANOTHER: Final = 20
"""Requests of another model from which it is told: a stray one is a fallback's, not a change."""
LEAST_SHARE: Final = 0.01
"""Of a side's requests since another model turned up: fewer move no metric by a margin."""
MAX_NAMES: Final = 16
"""Of each kind that are kept; names come from events and could be made up without end."""


class ModelChange(NamedTuple):
    """Another model since a window, its share of the side's requests since then."""

    model: str
    since_ms: int
    share: float
    before: list[str]
    """The models that the stage began with, the most frequent first."""


class SideModels(msgspec.Struct, array_like=True):
    """The models of one side in a stage, from its closed windows."""

    first: dict[str, int] = field(default_factory=dict)
    """Requests by model until these are known."""
    since_ms: dict[str, int] = field(default_factory=dict)
    """Start of the first window with another model."""
    requests: dict[str, int] = field(default_factory=dict)
    """Requests of another model since then."""
    all_requests: dict[str, int] = field(default_factory=dict)
    """Of the side since then, by that model's name."""

    def add(self, models: Mapping[str, int], start_ms: int) -> None:
        """Take the requests of a closed window by the model that answered; empty is unknown."""
        known = {name: count for name, count in models.items() if name not in ("", OTHER_NAMES)}
        if sum(self.first.values()) < KNOWN_AFTER:
            for name, count in known.items():
                if name in self.first or len(self.first) < MAX_NAMES:
                    self.first[name] = self.first.get(name, 0) + count
            return
        for name in known:
            if name not in self.first and len(self.since_ms) < MAX_NAMES:
                self.since_ms.setdefault(name, start_ms)
        for name, since_ms in self.since_ms.items():
            if name in known:
                self.since_ms[name] = min(since_ms, start_ms)
            self.requests[name] = self.requests.get(name, 0) + known.get(name, 0)
            self.all_requests[name] = self.all_requests.get(name, 0) + sum(known.values())

    def changes(self) -> list[ModelChange]:
        """Return the models that turned up later and have a part of the traffic."""
        before = sorted(self.first, key=lambda name: (-self.first[name], name))
        found = []
        for name, since_ms in sorted(self.since_ms.items()):
            requests, of_all = self.requests[name], self.all_requests[name]
            if requests >= max(ENOUGH_OF_ANOTHER, LEAST_SHARE * of_all):
                found.append(ModelChange(name, since_ms, requests / of_all, before))
        return found
