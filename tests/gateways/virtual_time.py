"""Hours of waiting pass at once: `asyncio.run` on the demo's simulated clock.

Time stands still while anything can run, so what a test sees depends on no machine's speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from understudy.streams.demo.simulated_clock import SimulatedClockLoop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, from 0 s on."""
    with asyncio.Runner(loop_factory=SimulatedClockLoop) as runner:
        return runner.run(main)
