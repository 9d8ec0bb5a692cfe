"""The worst of many pairs, of each group alike, in bounded memory. Pure.

First come the worst of each group, then the second worst, and so on, until there are enough. What
once ranks beyond the limit never comes back, since ranks only fall, so the result does not depend
on the order in which pairs come.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from understudy.streams.clickhouse.captured_pair import CapturedPair

_SLACK: Final = 4
"""Of the limit, a fourth more is kept before the rest is dropped, so that this is rare."""

Order = tuple[float, float, str]
"""By which pairs rank, the first first: severity, place by hash, `pair_id`. By this place pairs are
chosen to be judged, too, so that a captured sample holds those."""
Group = tuple[str, ...]
"""What pairs share that are ranked against each other: their slice and kind."""


@dataclass(frozen=True, slots=True)
class RankedPair:
    """A pair that may be captured; its texts are cut, and not redacted yet."""

    order: Order
    group: Group
    pair: CapturedPair
    nbytes: int


@dataclass(slots=True)
class RankedPairs:
    """The pairs of one rollout and window, by group, each in order."""

    most: int
    """Of one group."""
    limit: int
    """Of all."""
    groups: dict[Group, list[RankedPair]] = field(default_factory=dict)
    count: int = 0
    nbytes: int = 0

    def may_take(self, order: Order, group: Group) -> bool:
        """Whether a pair ranks among the first of its group."""
        ranked = self.groups.get(group, [])
        return len(ranked) < self.most or order < ranked[-1].order

    def take(self, kept: RankedPair) -> None:
        """Keep a pair, and drop what ranks beyond the limits."""
        ranked = self.groups.setdefault(kept.group, [])
        insort(ranked, kept, key=lambda one: one.order)
        self.count += 1
        self.nbytes += kept.nbytes
        if len(ranked) > self.most:
            self._drop_last(kept.group)
        if self.count > self.limit + max(1, self.limit // _SLACK):
            self._keep(self.first())

    def bytes_beyond(self, order: Order, group: Group) -> int:
        """Of the pairs of a group that rank beyond an order."""
        return sum(one.nbytes for one in self.groups.get(group, ()) if one.order > order)

    def free(self, nbytes: int, group: Group) -> int:
        """Drop the last of a group until so many bytes are free; how many were dropped."""
        count, free_above = self.count, self.nbytes - nbytes
        while self.nbytes > free_above:
            self._drop_last(group)
        return count - self.count

    def _drop_last(self, group: Group) -> None:
        self.nbytes -= self.groups[group].pop().nbytes
        self.count -= 1

    def first(self) -> list[RankedPair]:
        """The pairs within the limits: the first of each group, then the second, and so on."""
        places = [
            (place, kept.order, kept)
            for ranked in self.groups.values()
            for place, kept in enumerate(ranked)
        ]
        places.sort(key=lambda one: one[:2])
        return [kept for _, _, kept in places[: self.limit]]

    def _keep(self, kept: Sequence[RankedPair]) -> None:
        self.groups = {}
        for one in kept:
            self.groups.setdefault(one.group, []).append(one)
        self.count = len(kept)
        self.nbytes = sum(one.nbytes for one in kept)
