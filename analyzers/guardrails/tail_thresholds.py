"""Where stable's tail begins, learnt again and again from windows before those that it judges.

A quantile cannot be tested directly; how often both sides exceed a fixed time can. The time is
stable's own quantile among its last few thousand requests in closed windows. Any time that is fixed
before a window is valid for it, and one that follows the traffic goes on telling the sides apart
after a slow start or an incident. Early rows don't count: they hold the fast answers only.

A threshold holds for windows that begin past every window seen when it was learnt. So all versions
of a window's rows, in all partitions, are judged by the same one.
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
GENERATION_UNITS: Final = 750
"""Requests after which the older half of the reference is dropped, so that it spans the last 750
to 1 500: seven of them or more lie beyond a p99, and what an incident brought is soon gone."""
LEAST_SPACING_MS: Final = 60_000
"""Event time for which a threshold holds at least, however many requests come."""
MOST_ENTRIES: Final = 32
"""Thresholds that are remembered: with the spacing, those of half an hour, which is longer than
windows stay open."""


class ThresholdEntry(msgspec.Struct, frozen=True, array_like=True):
    """Stable's quantiles, as buckets by quantile, for windows that start at `since_ms` or later."""

    since_ms: int
    buckets: dict[str, int]


class TailThreshold(msgspec.Struct, array_like=True):
    """Stable's quantiles of one measure in one slice."""

    recent: dict[int, int] = field(default_factory=dict)
    """Requests of the present generation."""
    before: dict[int, int] = field(default_factory=dict)
    """Requests of the generation before it."""
    entries: list[ThresholdEntry] = field(default_factory=list)
    """Oldest first."""

    @property
    def units(self) -> int:
        """Requests that the next threshold would rest on."""
        return sum(self.recent.values()) + sum(self.before.values())

    @property
    def buckets(self) -> Mapping[str, int]:
        """The newest quantiles; empty until known."""
        return self.entries[-1].buckets if self.entries else {}

    def bucket(self, quantile: float, window_start_ms: int) -> int | None:
        """Return the bucket to test a window with; None for windows from before it was known."""
        for entry in reversed(self.entries):
            if entry.since_ms <= window_start_ms:
                return entry.buckets[str(quantile)]
        return None

    def learn(self, histogram: Mapping[int, int], unseen_from_ms: int) -> None:
        """Take closed requests of stable; `unseen_from_ms` is past every window seen so far."""
        if not histogram:
            return
        self.recent = merge(self.recent, histogram)
        is_complete = sum(self.recent.values()) >= GENERATION_UNITS
        if is_complete or (not self.entries and self.units >= ENOUGH_UNITS):
            self._fix(unseen_from_ms)
        if is_complete:
            self.before, self.recent = self.recent, {}

    def _fix(self, since_ms: int) -> None:
        """Learn the quantiles of all requests held."""
        held = merge(self.before, self.recent)
        found = {str(q): reference_bucket(held, q, enough_units=1) for q in QUANTILES}
        buckets = {q: bucket for q, bucket in found.items() if bucket is not None}
        is_too_soon = self.entries and since_ms < self.entries[-1].since_ms + LEAST_SPACING_MS
        if buckets != self.buckets and not is_too_soon:
            self.entries = [*self.entries, ThresholdEntry(since_ms, buckets)][-MOST_ENTRIES:]


TailThresholds = dict[str, dict[str, TailThreshold]]
"""By slice, by measure."""
