"""The stall watchdog: notices that windows wait and nothing is applied.

Commits alone do not say so: after another worker died, Faust 0.15.3 was seen to go on deciding
for a while without committing. A process that starts anew reads again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STALL_TIMEOUT_S: Final = 20.0
"""Longer than a rebalance with recovery takes (seconds), shorter than people would wait."""
UNANSWERED_TIMEOUT_S: Final = 200.0
"""Two questions follow one another, and each fails after 90 s where Kafka is away: what takes
longer was never asked, because the consumer's thread hangs."""


class StallWatchdog:
    """Asked regularly; adds up the time between, so that a suspended process is not to blame."""

    def __init__(
        self,
        interval_s: float,
        timeout_s: float = STALL_TIMEOUT_S,
        unanswered_timeout_s: float = UNANSWERED_TIMEOUT_S,
    ) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._unanswered_timeout_s = unanswered_timeout_s
        self._applied: dict[tuple[str, int], int] = {}
        self.stalled_s = 0.0
        """For how long windows have waited while nothing was applied."""
        self.unanswered_s = 0.0
        """For how long the question for lags has had no answer, not even that Kafka is away."""

    def is_stalled(
        self, applied: Mapping[tuple[str, int], int], lags: Mapping[int, int] | None
    ) -> bool:
        """Compare with the time before; unknown lags count as none, since Kafka is away then."""
        moves = applied != self._applied or not any((lags or {}).values())
        self._applied = dict(applied)
        self.stalled_s = 0.0 if moves else self.stalled_s + self._interval_s
        return self.stalled_s >= self._timeout_s

    def is_unanswered(self, is_answered: bool, waited_s: float) -> bool:
        """Note whether the lags that were asked for are there after another wait."""
        self.unanswered_s = 0.0 if is_answered else self.unanswered_s + waited_s
        return self.unanswered_s >= self._unanswered_timeout_s
