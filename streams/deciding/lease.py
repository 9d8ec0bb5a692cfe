"""The lease: until when a worker may take it that its partitions are still its own.

A worker that was suspended, or cut off from Kafka, is replaced when its session has run out. When
it wakes it still holds what it judged, and would tell an old decision after its successor's new
one, or write an old entry over a newer one. So it sends nothing unless a heartbeat was accepted
lately: the session cannot have run out then before the message arrives or is given up.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_S: Final = 0.05


class Lease:
    """Renewed by heartbeats, from whichever thread."""

    def __init__(self, session_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.sending_s = session_s / 2
        """What a message may take on its way."""
        self._kept_s = session_s - self.sending_s
        self._clock = clock
        self._renewed_s = -math.inf

    def now(self) -> float:
        """The time to hand to `renew`, taken before asking the broker."""
        return self._clock()

    def renew(self, asked_s: float) -> None:
        """The broker knew the member when it was asked, at the earliest at this time."""
        self._renewed_s = max(self._renewed_s, asked_s)

    @property
    def is_held(self) -> bool:
        """Whether what is sent now arrives before anybody else can own the partitions."""
        return self._clock() < self._renewed_s + self._kept_s

    async def held(self) -> None:
        """Wait until it is."""
        while not self.is_held:
            await asyncio.sleep(LOOK_EVERY_S)
