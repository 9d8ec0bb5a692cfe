"""The evidence at a look: that of the best prefix of the windows, in the order of request time.

What fails fast arrives first. So the requests of open windows that still wait for a side are taken
at their worst for a rollback, and the look takes the prefix at which the evidence of an action is
greatest: all prefixes are looks at one process, so this costs no error, and old windows, long
resolved, lose nothing to new ones. An action's evidence is the weighted sum over checks and slices
*at the same prefix*.

A mean has no worst. It counts in prefixes of windows without unresolved requests alone; beyond them
it stays what it was at the last of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.column_tests import SequentialTest, carried
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray, log_sum_exp
from understudy.analyzers.sequential.restart import log_shares, restarted_path


class OpenWindows(NamedTuple):
    """What the open windows hold for a check, T windows in their order."""

    starts_ms: IntArray
    """(T,)"""
    statistics: FloatArray
    """(T, n_slices, k) as counted so far."""
    at_worst: FloatArray
    """(T, n_slices, k) with what their unresolved requests would add at their worst."""
    is_resolved: BoolArray
    """(T, n_slices) whether no request waits for a side."""
    counts_for_rollback: BoolArray
    """(T,) False before what an operator's resume forgave."""
    design_effect: FloatArray
    """(T + 1, n_slices) what divides what each window won, known before it; and that of now."""


class IncrementsCache:
    """What each window of the last look won, undivided: most windows are the same at the next."""

    def __init__(self) -> None:
        self._starts_ms: IntArray = np.zeros(0, dtype=np.int64)
        self._rests_on: FloatArray = np.zeros((0, 0, 0))
        self._won: FloatArray = np.zeros((0, 0, 0))

    def increments(
        self, test: SequentialTest, starts_ms: IntArray, ready: FloatArray, scales: FloatArray
    ) -> FloatArray:
        """Return what windows won, (T, n_slices, n_bets); compute alone what has changed."""
        rests_on = np.concatenate([ready, scales], axis=-1)
        won = np.zeros((*ready.shape[:-1], test.n_bets))
        is_stale = ready.any(axis=-1)
        if self._starts_ms.size and self._rests_on.shape[1:] == rests_on.shape[1:]:
            places = np.searchsorted(self._starts_ms, starts_ms).clip(max=self._starts_ms.size - 1)
            is_known = self._starts_ms[places] == starts_ms
            is_same = is_known[:, None] & (self._rests_on[places] == rests_on).all(axis=-1)
            won[is_same] = self._won[places][is_same]
            is_stale &= ~is_same
        if is_stale.any():
            won[is_stale] = test.increments(ready[is_stale], "rollback", scales[is_stale])
        self._starts_ms, self._rests_on, self._won = starts_ms, rests_on, won
        return won


class Cell(NamedTuple):
    """A check with its evidence so far and the windows that are open: one cell for each slice."""

    test: SequentialTest
    evidence: CheckEvidence
    windows: OpenWindows
    has_worst: bool
    """Whether unresolved requests can be taken at their worst; False of a mean."""
    cache: IncrementsCache


def log_evidence_path(cells: Sequence[Cell]) -> FloatArray:
    """Return the log rollback evidence after the folded windows and after each open one.

    (T + 1, n), n being the slices of all checks in their order. The open windows of all have the
    same starts.
    """
    sizes = [len(cell.evidence.slices) for cell in cells]
    ends = np.cumsum([0, *sizes])
    steps, most_bets = len(cells[0].windows.starts_ms), max(cell.test.n_bets for cell in cells)
    wealth = np.full((ends[-1], most_bets), -np.inf)
    won = np.zeros((steps, ends[-1], most_bets))
    counts = np.zeros((steps, ends[-1]), dtype=np.bool_)
    for cell, start, end in zip(cells, ends, ends[1:], strict=False):
        n_bets = cell.test.n_bets
        increments, counts[:, start:end] = _increments(cell)
        wealth[start:end, :n_bets] = cell.evidence.log_wealth
        won[:, start:end, :n_bets] = increments / cell.windows.design_effect[:-1, :, None]
    windows = np.concatenate([cell.evidence.windows for cell in cells])
    before = np.cumsum(counts, axis=0) - counts
    fresh = np.where(counts, log_shares(windows + before), -np.inf)
    path = restarted_path(wealth, won, fresh)
    n_bets_of = np.repeat([cell.test.n_bets for cell in cells], sizes)
    path[:, np.arange(most_bets) >= n_bets_of[:, None]] = -np.inf
    evidence: FloatArray = log_sum_exp(path) - np.log(n_bets_of)
    for cell, start, end in zip(cells, ends, ends[1:], strict=False):
        if not cell.has_worst:
            evidence[:, start:end] = _held(evidence[:, start:end], cell.windows.is_resolved)
    return evidence


def _increments(cell: Cell) -> tuple[FloatArray, BoolArray]:
    """Return what open windows won, undivided, and where there was anything to win."""
    windows, evidence = cell.windows, cell.evidence
    judged = windows.at_worst * windows.counts_for_rollback[:, None, None]
    ready, _ = carried(cell.test, judged, evidence.waiting)
    scales = cell.test.scales_before(ready, evidence.scale)[:-1]
    won = cell.cache.increments(cell.test, windows.starts_ms, ready, scales)
    return won, np.asarray(ready.any(axis=-1))


def _held(evidence: FloatArray, is_resolved: BoolArray) -> FloatArray:
    """Hold the evidence of each slice at the last prefix before any unresolved request."""
    resolved = np.cumprod(is_resolved, axis=0).sum(axis=0)
    places = np.minimum(np.arange(len(evidence))[:, None], resolved)
    return np.take_along_axis(evidence, places, axis=0)


class BestPrefix(NamedTuple):
    """The greatest weighted sum of some cells' evidence, and the prefix that it is reached at."""

    log_evidence: float
    prefix: int


def best_prefix(log_evidence: FloatArray, log_weights: FloatArray) -> BestPrefix:
    """Return the best prefix of a path (T + 1, n) under (n,) logs of weights."""
    if not log_weights.size:
        return BestPrefix(-np.inf, 0)
    sums = log_sum_exp(log_evidence + log_weights)
    prefix = int(np.argmax(sums))
    return BestPrefix(float(sums[prefix]), prefix)
