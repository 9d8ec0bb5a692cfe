"""Where stable's tail begins, learnt from windows before those that are judged by it.

A quantile cannot be tested directly; how often both sides exceed a fixed time can. The time is
stable's own quantile in the first closed windows of a slice, a few thousand requests of it, and
what is judged by it are windows that had not begun to be seen by then. Early rows don't count: they
hold the fast answers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from understudy.analyzers.guardrails.statistics import times
from understudy.analyzers.sequential.tail import ENOUGH_UNITS, reference_bucket
from understudy.analyzers.windows.histogram import merge
from understudy.schemas.windows import WindowRow

QUANTILES = (0.5, 0.95, 0.99)


@dataclass(slots=True)
class TailThreshold:
    """Stable's quantiles of one measure in one slice, once enough was seen."""

    histogram: dict[int, int] = field(default_factory=dict)
    """What was seen so far; empty once the buckets are set."""
    buckets: dict[str, int] = field(default_factory=dict)
    since_ms: int = 0
    """Windows from here on are judged."""

    @property
    def units(self) -> int:
        """Requests seen so far, while still learning."""
        return sum(self.histogram.values())

    def bucket(self, quantile: float, window_start_ms: int) -> int | None:
        """The bucket to judge a window by; None for a window from before it was known."""
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

    def to_builtins(self) -> list[Any]:
        """Histogram, buckets, since."""
        histogram = {str(bucket): count for bucket, count in self.histogram.items()}
        return [histogram, self.buckets, self.since_ms]

    @classmethod
    def from_builtins(cls, kept: list[Any]) -> TailThreshold:
        """The reference that `to_builtins` wrote."""
        histogram, buckets, since_ms = kept
        return cls({int(b): n for b, n in histogram.items()}, dict(buckets), since_ms)


@dataclass(slots=True)
class TailThresholds:
    """All references of a rollout, by slice and measure."""

    measures: frozenset[str]
    kept: dict[str, dict[str, TailThreshold]] = field(default_factory=dict)

    def get(self, name: str, measure: str) -> TailThreshold:
        """The reference of a slice, possibly empty."""
        return self.kept.get(name, {}).get(measure) or TailThreshold()

    def learn(self, name: str, rows: list[WindowRow], unseen_from_ms: int) -> None:
        """Take the closed rows of a slice."""
        for measure in sorted(self.measures):
            of_slice = self.kept.setdefault(name, {})
            reference = of_slice.setdefault(measure, TailThreshold())
            if not reference.buckets:
                histograms = (times(measure, row.stable)[0] for row in rows)
                reference.learn(merge(*histograms), unseen_from_ms)

    def to_builtins(self) -> dict[str, Any]:
        """By slice, by measure."""
        return {
            name: {measure: reference.to_builtins() for measure, reference in of_slice.items()}
            for name, of_slice in self.kept.items()
        }

    @classmethod
    def from_builtins(cls, measures: frozenset[str], kept: dict[str, Any]) -> TailThresholds:
        """The references that `to_builtins` wrote."""
        return cls(
            measures,
            {
                name: {m: TailThreshold.from_builtins(one) for m, one in of_slice.items()}
                for name, of_slice in kept.items()
            },
        )
