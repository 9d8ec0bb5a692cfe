"""How much memory all that a worker keeps for captures takes, over its partitions. Pure."""

from __future__ import annotations

import sys
from typing import Final, Protocol
from weakref import WeakSet

from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide


class Keeper(Protocol):
    """What keeps pairs of one partition."""

    @property
    def kept_bytes(self) -> int:
        """Of the pairs that it keeps now."""


class CaptureMemory:
    """All that keep pairs. One that is forgotten, as its partition was revoked, counts no more."""

    def __init__(self) -> None:
        self._keepers: WeakSet[Keeper] = WeakSet()

    def add(self, keeper: Keeper) -> None:
        """Count what a keeper keeps, for as long as somebody else knows it."""
        self._keepers.add(keeper)

    @property
    def kept_bytes(self) -> int:
        """Of all of them."""
        return sum(keeper.kept_bytes for keeper in self._keepers)


_PAIR_BYTES: Final = 2_048
"""Of a pair without its texts: two sides, ids and order, as `sys.getsizeof` adds them up."""


def bytes_of(pair: CapturedPair) -> int:
    """Return how much memory a pair takes; a text in Chinese has two bytes a character there."""
    texts = (pair.prompt, *_texts(pair.stable), *_texts(pair.candidate))
    return _PAIR_BYTES + sum(map(sys.getsizeof, texts))


def _texts(side: CapturedSide) -> tuple[str, str]:
    return side.output, side.tool_calls
