"""How tests wait: for a condition, with a reason and a deadline.

A deadline is there to end a test that hangs, not to measure: it is far beyond what a busy machine
takes. Waiting for nothing to happen costs its whole time, so `stays_true` is for the few
assertions that say what must not happen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

DEADLINE_S: Final = 120.0
"""Ten times what the slowest wait takes on two idle cores, since suites share machines."""
POLL_S: Final = 0.05
"""Small beside what is waited for, and too seldom to take a core's time from it."""


def wait_until(
    condition: Callable[[], object],
    reason: str,
    deadline_s: float = DEADLINE_S,
    *,
    details: Callable[[], str] | None = None,
    poll_s: float = POLL_S,
) -> None:
    """Return once the condition is true.

    `reason` says what is waited for; `details` what else to show, such as a log, when it does not
    come by the deadline and the test fails.
    """
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            shown = f"\n{details()}" if details else ""
            raise AssertionError(f"not within {deadline_s:g} s: {reason}{shown}")
        time.sleep(poll_s)


def stays_true(
    condition: Callable[[], object], reason: str, for_s: float, *, poll_s: float = POLL_S
) -> None:
    """Fail as soon as the condition is false within `for_s` seconds."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        assert condition(), f"no longer so: {reason}"
        time.sleep(poll_s)
