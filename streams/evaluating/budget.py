"""What an evaluator may still take: US dollars of a day and calls of a minute. Pure; time is given.

A call reserves the most that it can cost before it is made, and gives back the rest afterwards, so
that the calls of this worker never exceed the budget. What other workers and earlier processes took
is read from the log of evaluations: they can exceed it by their calls in flight.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0


@dataclass(slots=True)
class Budget:
    """The budget of one evaluator in one rollout; times are seconds since 1970."""

    usd_per_day: float
    calls_per_minute: int
    _day: int = -1
    _spent_usd: float = 0.0
    """Of the day, with what calls in flight may cost."""
    _calls_s: deque[float] = field(default_factory=deque)
    """When the calls of the last minute were made, in order."""

    def spent_usd(self, now_s: float) -> float:
        """Return what the day has cost, calls in flight at their most."""
        self._turn_to(now_s)
        return self._spent_usd

    def allows_usd(self, now_s: float, usd: float) -> bool:
        """Whether a call that may cost so much fits into the day."""
        return self.spent_usd(now_s) + usd <= self.usd_per_day

    def wait_s(self, now_s: float) -> float:
        """Return how long the calls of the last minute keep the next one waiting; 0 for not."""
        self._forget_calls(now_s)
        if len(self._calls_s) < self.calls_per_minute:
            return 0.0
        if not self.calls_per_minute:
            return MINUTE_S
        return self._calls_s[-self.calls_per_minute] + MINUTE_S - now_s

    def reserve(self, now_s: float, usd: float) -> None:
        """Count a call that is made now, at the most that it can cost.

        `charge` is to be given the same time, so that it knows of which day the call is.
        """
        self._turn_to(now_s)
        if math.floor(now_s / DAY_S) == self._day:
            self._spent_usd += usd
        self._calls_s.append(now_s)

    def charge(self, reserved_at_s: float, reserved_usd: float, usd: float) -> None:
        """Count what a call did cost; one of an earlier day belongs to that."""
        if math.floor(reserved_at_s / DAY_S) == self._day:
            self._spent_usd += usd - reserved_usd

    def note_elsewhere(self, time_s: float, usd: float, calls: int, now_s: float) -> None:
        """Count what another worker or an earlier process took."""
        self._turn_to(now_s)
        if math.floor(time_s / DAY_S) == self._day:
            self._spent_usd += usd
        self._forget_calls(now_s)
        if time_s > now_s - MINUTE_S:
            for _ in range(calls):
                insort(self._calls_s, min(time_s, now_s))  # another's clock may be ahead

    def _forget_calls(self, now_s: float) -> None:
        while self._calls_s and self._calls_s[0] <= now_s - MINUTE_S:
            self._calls_s.popleft()

    def _turn_to(self, now_s: float) -> None:
        day = math.floor(now_s / DAY_S)
        if day > self._day:
            self._day, self._spent_usd = day, 0.0
