"""An event loop in simulated time: it jumps to the next timer as soon as it may.

Nothing happens between two timers, so ten minutes of traffic pass in as long as its work takes, and
what is measured in simulated time depends on no machine's speed. `pace` may hold the clock back.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Final

_LOOK_EVERY: Final = 256
"""Steps of the loop between two looks at what other threads want of it. Each look lets go of
Python's lock, which a busy process gives back only milliseconds later."""


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait for a timer, but moves the clock to it."""

    def __init__(self, pace: Callable[[float], None] | None) -> None:
        super().__init__()
        self._pace = pace
        self._steps = 0
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # nothing to do but what comes from outside
            return super().select(None)
        self._steps += 1
        ready = super().select(0) if self._steps % _LOOK_EVERY == 0 else []
        if not ready and timeout > 0.0:
            if self._pace is not None:
                self._pace(self.now_s + timeout)
            self.now_s += timeout
        return ready


class SimulatedClockLoop(asyncio.SelectorEventLoop):
    """Begins at 0 s. `pace` is called with each time before the clock moves there."""

    def __init__(self, pace: Callable[[float], None] | None = None) -> None:
        self._jumping = _JumpingSelector(pace)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the simulated time in seconds."""
        return self._jumping.now_s
