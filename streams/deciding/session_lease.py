"""The session lease: until when the group surely still counts this worker as a member.

A worker that was suspended, or cut off from Kafka, is replaced when its session has run out. When
it wakes it still holds what it has decided, and would emit an old decision after its successor's
new one, or write an old snapshot over a newer one. So nothing is sent unless a heartbeat was
accepted lately: then the session cannot run out before the message has arrived or is given up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class SessionLease:
    """Renewed by the consumer's thread with every heartbeat, asked by the event loop."""

    def __init__(self, session_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.send_timeout_s = session_s / 2
        """How long a message may be on its way; the other half of the session is left to start."""
        self._valid_s = session_s - self.send_timeout_s
        self._clock = clock
        self._renewed_s = -math.inf

    def now(self) -> float:
        """The time to hand to `renew`, taken before the broker is asked."""
        return self._clock()

    def renew(self, asked_s: float) -> None:
        """The broker answered that the worker is a member, at this time at the earliest."""
        self._renewed_s = max(self._renewed_s, asked_s)

    @property
    def is_valid(self) -> bool:
        """Whether what is sent now arrives before another worker can own the partitions."""
        return self._clock() < self._renewed_s + self._valid_s
