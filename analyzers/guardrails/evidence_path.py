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
from understudy.analyzers.guardrails.sequential_tests import carried
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray, log_sum_exp
from understudy.analyzers.sequential.restart import log_shares, restarted_path


class OpenWindows(NamedTuple):
    """What the open windows hold for checks, T windows in their order, by cell: check and slice."""

    starts_ms: IntArray
    """(T,)"""
    statistics: FloatArray
    """(T, n_cells, k) as counted so far."""
    at_worst: FloatArray
    """(T, n_cells, k) with what their unresolved requests would add at their worst."""
    is_resolved: BoolArray
    """(T, n_cells) whether no request waits for a side."""
    counts_for_rollback: BoolArray
    """(T,) False before what an operator's resume forgave."""
    design_effect: FloatArray
    """(T + 1, n_cells) what divides what each window won, known before it; and that of now."""


class IncrementsCache:
    """What each window of the last look won, undivided: most windows are the same at the next."""

    def __init__(self) -> None:
        self._starts_ms: IntArray = np.zeros(0, dtype=np.int64)
        self._rests_on: tuple[FloatArray, ...] = (np.zeros((0, 0, 0)),)
        self._won: FloatArray = np.zeros((0, 0, 0))
        self.scales: FloatArray = np.zeros((0, 0, 0))
        """(T + 1, n_cells, 3) before each window, and after the last."""
        self.waiting: FloatArray = np.zeros((0, 0, 0))
        """(T + 1, n_cells, k) what waits for the other arm before each window, and in the end."""

    def increments(
        self, test: StackedTest, starts_ms: IntArray, ready: FloatArray, scales: FloatArray
    ) -> FloatArray:
        """Return what windows won, (T, n_cells, n_bets); compute alone what has changed."""
        rests_on = (ready,) if test.has_worst else (ready, scales)  # of others no scale changes
        won, is_known = self._known(starts_ms, rests_on, test.n_bets)
        steps, cells = np.nonzero(ready.any(axis=-1) & ~is_known)
        if steps.size:
            some = steps, cells
            won[some] = test.increments_of(cells, ready[some], "rollback", scales[some])
        self._starts_ms, self._rests_on, self._won = starts_ms, rests_on, won
        return won

    def _known(
        self, starts_ms: IntArray, rests_on: tuple[FloatArray, ...], n_bets: int
    ) -> tuple[FloatArray, BoolArray]:
        """Return what was won where nothing has changed, else 0; and where that is so."""
        shape = rests_on[0].shape[:-1]
        before, won = self._rests_on, self._won
        if not self._starts_ms.size or before[0].shape[1:] != rests_on[0].shape[1:]:
            return np.zeros((*shape, n_bets)), np.zeros(shape, dtype=np.bool_)
        is_known: BoolArray = np.ones(shape, dtype=np.bool_)
        if not np.array_equal(self._starts_ms, starts_ms):
            places = np.searchsorted(self._starts_ms, starts_ms).clip(max=self._starts_ms.size - 1)
            is_known &= (self._starts_ms[places] == starts_ms)[:, None]
            before, won = tuple(part[places] for part in before), won[places]
        for part, then in zip(rests_on, before, strict=True):
            is_known &= (part == then).all(axis=-1)
        return np.where(is_known[..., None], won, 0.0), is_known


class Stack(NamedTuple):
    """Checks of one kind with their evidence so far and the windows that are open.

    They have a cell for each slice of each check, one after the other.
    """

    test: StackedTest
    evidence: CheckEvidence
    windows: OpenWindows
    cache: IncrementsCache


class PathCache:
    """The evidence path of the last look: up to the first window that changed it is the same."""

    def __init__(self) -> None:
        self._rests_on: tuple[FloatArray, FloatArray, FloatArray] | None = None
        self._evidence: FloatArray = np.zeros((0, 0))
        self.starts_ms: IntArray = np.zeros(0, dtype=np.int64)
        """(T,) of the windows."""
        self.path: FloatArray = np.zeros((0, 0, 0))
        """(T + 1, n, most bets) log wealth before each window, and after the last."""
        self.windows: FloatArray = np.zeros((0, 0))
        """(T + 1, n) windows before each, and in all, that could bring fresh wealth."""
        self.held: FloatArray = np.zeros((0, 0))
        """(T + 1, n) log evidence as a look takes it, means held."""

    def log_evidence(
        self, wealth: FloatArray, won: FloatArray, fresh: FloatArray, n_bets: IntArray
    ) -> FloatArray:
        """Return the log evidence before T windows and after each, (T + 1, n).

        `wealth` is (n, most bets), of which each cell has (n,) `n_bets`; `won` (T, n, most bets);
        `fresh` (T, n). Bits are those of computing all of it.
        """
        same = self._n_same(wealth, won, fresh)
        path = restarted_path(self.path[same] if same else wealth, won[same:], fresh[same:])
        path[:, np.arange(wealth.shape[-1]) >= n_bets[:, None]] = -np.inf
        evidence: FloatArray = log_sum_exp(path) - np.log(n_bets)
        if same:
            path = np.concatenate([self.path[:same], path])
            evidence = np.concatenate([self._evidence[:same], evidence])
        self._rests_on, self.path, self._evidence = (wealth, won, fresh), path, evidence
        return evidence.copy()

    def _n_same(self, wealth: FloatArray, won: FloatArray, fresh: FloatArray) -> int:
        """Return how many windows at the front are as they were."""
        if self._rests_on is None or not np.array_equal(self._rests_on[0], wealth):
            return 0
        _, won_then, fresh_then = self._rests_on
        n = min(len(won), len(won_then))
        same = (won[:n] == won_then[:n]).all(axis=(1, 2)) & (fresh[:n] == fresh_then[:n]).all(
            axis=1
        )
        return n if same.all() else int(np.argmin(same))


def log_evidence_path(stacks: Sequence[Stack], cache: PathCache) -> FloatArray:
    """Return the log rollback evidence after the folded windows and after each open one.

    (T + 1, n), n being the cells of all stacks in their order. The open windows of all have the
    same starts. `cache` is that of these stacks.
    """
    sizes = [len(stack.evidence.slices) for stack in stacks]
    ends = np.cumsum([0, *sizes])
    steps, most_bets = len(stacks[0].windows.starts_ms), max(stack.test.n_bets for stack in stacks)
    wealth = np.full((ends[-1], most_bets), -np.inf)
    won = np.zeros((steps, ends[-1], most_bets))
    counts = np.zeros((steps, ends[-1]), dtype=np.bool_)
    for stack, start, end in zip(stacks, ends, ends[1:], strict=False):
        n_bets = stack.test.n_bets
        increments, counts[:, start:end] = _increments(stack)
        wealth[start:end, :n_bets] = stack.evidence.log_wealth
        won[:, start:end, :n_bets] = increments / stack.windows.design_effect[:-1, :, None]
    windows = np.concatenate([stack.evidence.windows for stack in stacks])
    so_far = np.concatenate([windows[None], windows + np.cumsum(counts, axis=0)])
    fresh = np.where(counts, log_shares(so_far[:-1]), -np.inf)
    n_bets_of = np.repeat([stack.test.n_bets for stack in stacks], sizes)
    evidence = cache.log_evidence(wealth, won, fresh, n_bets_of)
    for stack, start, end in zip(stacks, ends, ends[1:], strict=False):
        if not stack.test.has_worst:
            evidence[:, start:end] = _held(evidence[:, start:end], stack.windows.is_resolved)
    cache.starts_ms, cache.windows, cache.held = stacks[0].windows.starts_ms, so_far, evidence
    return evidence


def _increments(stack: Stack) -> tuple[FloatArray, BoolArray]:
    """Return what open windows won, undivided, and where there was anything to win."""
    windows, evidence = stack.windows, stack.evidence
    counts = windows.counts_for_rollback
    judged = windows.at_worst if counts.all() else windows.at_worst * counts[:, None, None]
    ready, left = carried(stack.test, judged, evidence.waiting)
    stack.cache.waiting = np.concatenate([evidence.waiting[None], left])
    stack.cache.scales = stack.test.scales_before(ready, evidence.scale)
    won = stack.cache.increments(stack.test, windows.starts_ms, ready, stack.cache.scales[:-1])
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
