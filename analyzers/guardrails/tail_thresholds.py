"""Where stable's tail begins, learnt again and again from windows before those that it judges.

A quantile cannot be tested directly; how often both sides exceed a fixed time can. The time is
stable's own quantile among its last thousand requests in closed windows. Any time that is fixed
before a window is valid for it, and one that follows the traffic goes on telling the sides apart
after a slow start or an incident: where it fits the newest requests no longer, because hardly any
or far too many of them exceed it, the older ones are forgotten at once. Early rows don't count:
they hold the fast answers only.

A threshold holds for windows that begin past every window seen when it was learnt. So all versions
of a window's rows, in all partitions, are judged by the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import field

from understudy.analyzers.sequential.tail_buckets import ENOUGH_UNITS, reference_bucket
from understudy.analyzers.windows.histogram import merge

QUANTILES: Final = (0.5, 0.95, 0.99)
"""Those that a policy can name."""
GENERATION_UNITS: Final = 250
"""Requests after which it is asked whether the threshold still fits them: a dozen should exceed the
p95."""
GENERATIONS: Final = 5
"""Generations that a threshold rests on at most: 1 250 requests, a dozen of them beyond a p99."""
LEAST_FIT: Final = 0.25
MOST_FIT: Final = 3.0
"""Of the requests that should exceed the p95, those that do, as a share: chance alone leaves this
range in five of a thousand generations, which does no harm."""
LEAST_SPACING_MS: Final = 60_000
"""Event time for which a threshold that fits holds at least, however many requests come."""
MOST_ENTRIES: Final = 32
"""Thresholds that are remembered: with the spacing, those of half an hour where they fit, which is
longer than windows stay open."""


class ThresholdEntry(msgspec.Struct, frozen=True, array_like=True):
    """Stable's quantiles, as buckets by quantile, for windows that start at `since_ms` or later."""

    since_ms: int
    buckets: dict[str, int]


class ClosedHistograms(NamedTuple):
    """Stable's histograms in T windows that closed one after the other, flattened."""

    unseen_from_ms: npt.NDArray[np.int64]
    """(T,) past every window seen when each closed."""
    steps: npt.NDArray[np.int64]
    """(m,) the window of each entry, in their order."""
    buckets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    @property
    def units_before(self) -> npt.NDArray[np.float64]:
        """Requests before each window and after the last, (T + 1,)."""
        added = np.bincount(self.steps, weights=self.counts, minlength=self.unseen_from_ms.size)
        return np.concatenate([[0.0], np.cumsum(added)])

    def first(self, n_windows: int) -> ClosedHistograms:
        """Those of the first windows."""
        end = int(np.searchsorted(self.steps, n_windows))
        return ClosedHistograms(
            self.unseen_from_ms[:n_windows],
            self.steps[:end],
            self.buckets[:end],
            self.counts[:end],
        )

    def histogram(self, first: int, end: int) -> dict[int, int]:
        """Add up the windows from the first on."""
        part = slice(*np.searchsorted(self.steps, [first, end]).tolist())
        found, places = np.unique(self.buckets[part], return_inverse=True)
        counts = np.bincount(places, weights=self.counts[part], minlength=found.size)
        return dict(zip(found.tolist(), counts.astype(np.int64).tolist(), strict=True))


class TailThreshold(msgspec.Struct, array_like=True):
    """Stable's quantiles of one measure in one slice."""

    recent: dict[int, int] = field(default_factory=dict)
    """Requests of the present generation."""
    before: list[dict[int, int]] = field(default_factory=list)
    """Those of the generations before it, oldest first."""
    entries: list[ThresholdEntry] = field(default_factory=list)
    """Oldest first."""

    @property
    def units(self) -> int:
        """Requests that the next threshold would rest on."""
        return sum(sum(one.values()) for one in (*self.before, self.recent))

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
        fits = not is_complete or self._fits()
        if not fits:
            self.before = []
        if is_complete or (not self.entries and self.units >= ENOUGH_UNITS):
            self._fix(unseen_from_ms, is_urgent=not fits)
        if is_complete:
            self.before, self.recent = [*self.before, self.recent][1 - GENERATIONS :], {}

    def learn_windows(self, windows: ClosedHistograms) -> list[ThresholdEntry]:
        """Take windows one after the other; return what held for any of them, oldest first.

        The same as `learn` for each, but those at which nothing is learnt are taken together.
        """
        held, before = list(self.entries), windows.units_before
        step, n_windows = 0, windows.unseen_from_ms.size
        while step < n_windows:
            missing = GENERATION_UNITS - sum(self.recent.values())
            if not self.entries:
                missing = min(missing, ENOUGH_UNITS - self.units)
            reached = int(np.searchsorted(before, before[step] + missing))
            end = min(max(reached, step + 1), n_windows)
            self.learn(windows.histogram(step, end), int(windows.unseen_from_ms[end - 1]))
            held += [entry for entry in self.entries[-1:] if entry not in held[-1:]]
            step = end
        return held

    def _fits(self) -> bool:
        """Return whether about as many of the present generation exceed the p95 as should."""
        if not self.entries:
            return True
        limit, units = self.buckets["0.95"], sum(self.recent.values())
        beyond = sum(count for bucket, count in self.recent.items() if bucket > limit)
        return LEAST_FIT <= beyond / (0.05 * units) <= MOST_FIT

    def _fix(self, since_ms: int, *, is_urgent: bool) -> None:
        """Learn the quantiles of all requests held."""
        if not self.entries and self.units < ENOUGH_UNITS:
            return
        spacing_ms = 0 if is_urgent else LEAST_SPACING_MS
        if self.entries and since_ms < self.entries[-1].since_ms + spacing_ms:
            return
        held = merge(*self.before, self.recent)
        found = {str(q): reference_bucket(held, q, enough_units=1) for q in QUANTILES}
        buckets = {q: bucket for q, bucket in found.items() if bucket is not None}
        if buckets != self.buckets:
            self.entries = [*self.entries, ThresholdEntry(since_ms, buckets)][-MOST_ENTRIES:]


TailThresholds = dict[str, dict[str, TailThreshold]]
"""By slice, by measure."""
