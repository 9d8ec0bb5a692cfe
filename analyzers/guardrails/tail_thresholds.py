"""Where stable's tail begins, learnt from windows before those that are tested with it.

A quantile cannot be tested directly; how often both sides exceed a fixed time can. The time is
stable's own quantile in the first closed windows of a slice, a few thousand requests of it, and
it is used for windows of which nothing had been seen by then. Early rows don't count: they hold the
fast answers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import field

from understudy.analyzers.sequential.tail_buckets import ENOUGH_UNITS, reference_bucket
from understudy.analyzers.windows.histogram import merge

QUANTILES: Final = (0.5, 0.95, 0.99)
"""Those that a policy can name."""


class TailThreshold(msgspec.Struct, array_like=True):
    """Stable's quantiles of one measure in one slice, once enough requests were seen."""

    histogram: dict[int, int] = field(default_factory=dict)
    """Requests seen so far; empty once the buckets are set."""
    buckets: dict[str, int] = field(default_factory=dict)
    """Quantile to the bucket that holds it; empty until known."""
    since_ms: int = 0
    """Windows from here on are tested."""

    @property
    def units(self) -> int:
        """Requests seen so far, while still learning."""
        return sum(self.histogram.values())

    def bucket(self, quantile: float, window_start_ms: int) -> int | None:
        """Return the bucket to test a window with; None for windows from before it was known."""
        if not self.buckets or window_start_ms < self.since_ms:
            return None
        return self.buckets[str(quantile)]

    def learn(self, histogram: Mapping[int, int], unseen_from_ms: int) -> None:
        """Take closed requests of stable; `unseen_from_ms` is past every window seen so far."""
        if self.buckets:
            return
        self.histogram = merge(self.histogram, histogram)
        if self.units >= ENOUGH_UNITS:
            found = {str(q): reference_bucket(self.histogram, q) for q in QUANTILES}
            self.buckets = {q: bucket for q, bucket in found.items() if bucket is not None}
            self.since_ms = unseen_from_ms
            self.histogram = {}


TailThresholds = dict[str, dict[str, TailThreshold]]
"""By slice, by measure."""
