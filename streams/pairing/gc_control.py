"""When Python looks for reference cycles: between batches, not in the middle of one.

Records, entries and measures hold no cycles, yet they are many, and Python's collector would look
at all that are young every few hundred allocations: 10 to 15 % of pairing's time. What does make
cycles now and then (exceptions, clients) can wait some seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

COLLECT_EVERY_S: Final = 10.0


class CollectBetweenBatches:
    """Inside this context Python collects cycles only when `collect_if_due` is called."""

    def __init__(
        self,
        every_s: float = COLLECT_EVERY_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s = every_s
        self._clock = clock
        self._collected_at_s = clock()

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        gc.disable()
        return self

    def collect_if_due(self) -> None:
        """Collect when the last time was long enough ago."""
        now_s = self._clock()
        if now_s - self._collected_at_s >= self._every_s:
            gc.collect()
            self._collected_at_s = self._clock()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.enable()
        gc.unfreeze()
