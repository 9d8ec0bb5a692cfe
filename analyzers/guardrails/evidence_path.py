"""The evidence at a look: that of the best prefix of the windows, in the order of request time.

What fails fast arrives first. So the requests of open windows that still wait for a side are taken
at their worst for a rollback, and the look takes the prefix at which the evidence of an action is
greatest: all prefixes are looks at one process, so this costs no error, and old windows, long
resolved, lose nothing to new ones. An action's evidence is the weighted sum over checks and slices
*at the same prefix*.

A mean has no worst. It counts in prefixes of windows without unresolved requests alone; beyond them
it stays what it was at the last of those.

The cells of a path are those of all checks of one source in all their slices, stack by stack. From
one look to the next the newest windows change in most slices, older ones in few, so a path is kept,
and for each cell computed again from the first of its windows that has changed. Bits are those of
computing all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.check_stacks import CheckStack, Known
from understudy.analyzers.guardrails.design_effect import (
    Assumption,
    EffectCells,
    LookSums,
    design_effect_of,
    named_and_earlier,
)
from understudy.analyzers.guardrails.measured_since import MeasuredSince
from understudy.analyzers.guardrails.open_sums import OpenSums
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.sequential_tests import carried, no_scale
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray, log_sum_exp
from understudy.analyzers.sequential.restart import log_shares, restarted, restarted_path


class OpenWindows(NamedTuple):
    """What the open windows hold for checks, T windows in their order, by cell: check and slice."""

    starts_ms: IntArray
    """(T,)"""
    statistics: FloatArray
    """(T, n_cells, k) as counted so far; until the next look."""
    counts_for_rollback: BoolArray
    """(T,) False before what an operator's resume forgave."""
    design_effect: FloatArray
    """(n_cells,) what would divide what a look wins now."""


class LookBasis(NamedTuple):
    """What a look rests on besides windows and evidence."""

    thresholds: TailThresholds
    measured_since: MeasuredSince
    forgiven_through_ms: int
    assumption: Assumption


class EvidencePath:
    """The evidence after the folded windows of one source, and after each open one."""

    def __init__(self, stacks: Sequence[CheckStack], layout: RowLayout) -> None:
        """Of all stacks of a source, at least one, and the layout of its rows."""
        self._stacks, self._layout = list(stacks), layout
        sizes = [stack.n_cells for stack in stacks]
        ends = np.cumsum([0, *sizes]).tolist()
        self.cells = [slice(start, end) for start, end in pairwise(ends)]
        """By stack, its cells."""
        n_bets = np.repeat([stack.test.n_bets for stack in stacks], sizes)
        self._log_n_bets = np.log(n_bets)
        most_bets = max(stack.test.n_bets for stack in stacks)
        self._has_no_bet = np.arange(most_bets) >= n_bets[:, None]
        """(n_cells, most bets)"""
        evaluators = [stack.evaluator for stack in stacks]
        self._evaluators = list(dict.fromkeys(evaluators))
        numbers = np.array([self._evaluators.index(one) for one in evaluators], dtype=np.int64)
        self._of_evaluator = np.repeat(numbers, sizes)
        self._places = np.concatenate([stack.places for stack in stacks])
        """(n_cells,) of slices."""
        self._is_one_sided = np.concatenate([stack.effect.is_one_sided for stack in stacks])
        self._rests_on: object = None
        self._known: list[Known] = []
        self._begin(np.zeros(0, dtype=np.int64))

    def update(self, sums: OpenSums, known: Sequence[Known], look: LookBasis) -> None:
        """Take the windows as they are, and what folded ones say, by stack."""
        rests_on = look.forgiven_through_ms, [stack.rests_on(look.thresholds, look.measured_since)
                                              for stack in self._stacks]  # fmt: skip
        self._take_windows(sums, rests_on)
        self._rests_on = None  # until all is done: nothing goes on from a look that failed
        is_anew = len(self._known) != len(known) or any(
            one is not other for one, other in zip(known, self._known, strict=True)
        )
        if is_anew:
            self._known, self._is_known = list(known), False
            self._folded = _FoldedCells.of(known, self._has_no_bet.shape)
        has_changed = sums.has_changed[:, self._places]
        first = np.zeros(self._places.size, dtype=np.int64)
        if self._is_known:
            # Of cells that have not changed it is past the look at the end.
            end = np.ones((1, first.size), dtype=np.bool_)
            unchanged = np.zeros((1, first.size), dtype=np.bool_)
            first = np.argmax(np.concatenate([has_changed, unchanged, end]), axis=0)
        self._read(sums, known, look, has_changed, first)
        self._divide(sums, first, look.assumption)
        self._walk(first)
        sums.has_changed[:] = False
        self._is_known = True
        self._rests_on = rests_on

    def opened(self, place: int, look: LookBasis) -> OpenWindows:
        """Return what the open windows hold for a stack."""
        counts = self.starts_ms > look.forgiven_through_ms
        effect = self.design_effect[-1, self.cells[place]]
        return OpenWindows(self.starts_ms, self.windows[place].statistics, counts, effect)

    def _begin(self, starts_ms: IntArray) -> None:
        """Make room for windows with these starts, of which nothing is known."""
        n_windows, (n_cells, most_bets) = starts_ms.size, self._has_no_bet.shape
        self.starts_ms = starts_ms
        """(T,) of the windows."""
        self._is_known = False
        """Whether all that follows is of folded windows as they are."""
        self.windows = [StackWindows(stack, n_windows) for stack in self._stacks]
        """By stack, what its windows hold."""
        self._has_units: BoolArray = np.zeros((n_windows, n_cells), dtype=np.bool_)
        """(T, n_cells) where there was anything to win."""
        self._won: FloatArray = np.zeros((n_windows, n_cells, most_bets))
        """What windows won, undivided."""
        self._gained: FloatArray = np.zeros((n_windows, n_cells, most_bets))
        self.design_effect: FloatArray = np.ones((n_windows + 1, n_cells))
        """(T + 1, n_cells) what divides what each window won, known before it; and that of now."""
        self.path: FloatArray = np.full((n_windows + 1, n_cells, most_bets), -np.inf)
        """(T + 1, n_cells, most bets) log wealth before each window, and after the last."""
        self.n_windows: FloatArray = np.zeros((n_windows + 1, n_cells))
        """(T + 1, n_cells) windows before each, and in all, that could bring fresh wealth."""
        self._evidence: FloatArray = np.full((n_windows + 1, n_cells), -np.inf)
        self.held = self._evidence
        """(T + 1, n_cells) log evidence as a look takes it, means held; until the next look."""

    def _take_windows(self, sums: OpenSums, rests_on: object) -> None:
        """Make room for the windows that there are."""
        starts_ms = sums.starts_ms
        if rests_on != self._rests_on:
            self._begin(starts_ms)
            sums.has_changed[:] = True
        if np.array_equal(starts_ms, self.starts_ms):
            return
        before = copy(self)
        self._begin(starts_ms)
        self._is_known = before._is_known
        _, new, old = np.intersect1d(starts_ms, before.starts_ms, return_indices=True)
        for ours, theirs in (
            (self._has_units, before._has_units),
            (self._won, before._won),
            (self._gained, before._gained),
        ):
            ours[new] = theirs[old]
        for one, other in zip(self.windows, before.windows, strict=True):
            one.take_over(other, new, old)
        n = min(starts_ms.size, before.starts_ms.size)
        is_same = np.append(starts_ms[:n] == before.starts_ms[:n], False)
        till = int(np.argmin(is_same)) + 1
        self.design_effect[:till], self.path[:till] = (
            before.design_effect[:till],
            before.path[:till],
        )
        self._evidence[:till] = before._evidence[:till]

    def _read(
        self,
        sums: OpenSums,
        known: Sequence[Known],
        look: LookBasis,
        has_changed: BoolArray,
        first: IntArray,
    ) -> None:
        """Take what windows hold and have won, where they have changed, (T, n_cells).

        Where it depends on earlier windows too, from the first on, (n_cells,), that has.
        """
        counts = self.starts_ms > look.forgiven_through_ms
        starts = sums.starts_ms
        counted = [stack.counts(starts, look.measured_since) for stack in self._stacks]
        gauges = sums.batches[..., self._layout.gauges_in_batch]
        for place, (windows, cells) in enumerate(zip(self.windows, self.cells, strict=True)):
            changed = has_changed[:, cells]
            steps, some = np.nonzero(changed)
            if steps.size:
                at = steps, some
                held, worst = self._stacks[place].read(
                    sums.batches, gauges, starts, look.thresholds, at
                )
                of_stack = counted[place]
                if of_stack is not None:
                    held, worst = held * of_stack[at][:, None], worst * of_stack[at][:, None]
                windows.put(at, held, worst, gauges, counts)
            again = windows.carry(changed, first[cells], known[place].evidence, counts)
            windows.win(again, self._won[:, cells], self._has_units[:, cells])

    def _divide(self, sums: OpenSums, first: IntArray, assumption: Assumption) -> None:
        """Divide what windows won by the design effect."""
        steps, cells = np.nonzero(np.arange(self.starts_ms.size + 1)[:, None] >= first)
        turns = [self._turns(sums.batches, one) for one in self._evaluators]
        of_slices = _Turns(*(np.concatenate(parts, axis=1) for parts in zip(*turns, strict=True)))
        at = steps, self._of_evaluator[cells] * sums.batches.shape[1] + self._places[cells]
        folded = self._folded
        then = LookSums(
            folded.correlation[cells],
            folded.named[cells] + of_slices.named[at],
            folded.earlier[cells] + of_slices.earlier[at],
            folded.requests[cells] + of_slices.requests_so_far[at],
            of_slices.requests[at],
            folded.unnamed[cells],
        )
        own = EffectCells.of([])._replace(is_one_sided=self._is_one_sided[cells])
        effect = design_effect_of(own, then, assumption)
        self.design_effect[steps, cells] = effect
        is_window = steps < self.starts_ms.size
        at = steps[is_window], cells[is_window]
        self._gained[at] = self._won[at] / effect[is_window, None]

    def _turns(self, batches: FloatArray, evaluator: str) -> _Turns:
        """Return how many turns there were, of those alone that an evaluator judged if named."""
        seen = self._layout.turn_counts(batches, evaluator).with_none_after()
        named, earlier = (part.cumsum(axis=0) for part in named_and_earlier(seen.turns))
        return _Turns(named, earlier, seen.requests.cumsum(axis=0), seen.requests)

    def _walk(self, first: IntArray) -> None:
        """Compute the evidence of cells after the first window, (n_cells,), that has changed."""
        n, folded = self.starts_ms.size, self._folded
        so_far = np.cumsum(self._has_units, axis=0)
        self.n_windows = np.concatenate([folded.windows[None], folded.windows + so_far])
        fresh = np.where(self._has_units, log_shares(self.n_windows[:-1]), -np.inf)
        if not self._is_known:
            self.path[0] = folded.wealth
            self._evidence[0] = log_sum_exp(folded.wealth) - self._log_n_bets
        start = int(first.min(initial=n))
        if (first == start).all():
            some = slice(start, n)
            after = restarted_path(self.path[start], self._gained[some], fresh[some])[1:]
            after[:, self._has_no_bet] = -np.inf
            self.path[start + 1 :] = after
            self._evidence[start + 1 :] = log_sum_exp(after) - self._log_n_bets
        else:
            self._walk_apart(first, fresh)
        self.held = self._evidence
        for windows, cells in zip(self.windows, self.cells, strict=True):
            if not windows.has_worst:
                self.held = self.held.copy() if self.held is self._evidence else self.held
                self.held[:, cells] = _held(self._evidence[:, cells], windows.is_resolved)

    def _walk_apart(self, first: IntArray, fresh: FloatArray) -> None:
        """The same where cells have changed at different windows."""
        n = self.starts_ms.size
        order = np.argsort(first, kind="stable")
        n_cells = np.searchsorted(first[order], np.arange(n), side="right").tolist()
        for step in range(int(first.min()), n):
            cells = order[: n_cells[step]]
            before, won = self.path[step, cells], self._gained[step, cells]
            self.path[step + 1, cells] = restarted(before, won, fresh[step, cells, None])
        at = np.nonzero(np.arange(n)[:, None] >= first)
        after = at[0] + 1, at[1]
        wealth = self.path[after]
        wealth[self._has_no_bet[at[1]]] = -np.inf
        self.path[after] = wealth
        self._evidence[after] = log_sum_exp(wealth) - self._log_n_bets[at[1]]


class _Turns(NamedTuple):
    """How many turns and requests T open windows and a look after them have, by slice."""

    named: FloatArray
    """(T + 1, n_slices, 3) requests that name their conversation, in windows up to each."""
    earlier: FloatArray
    """(T + 1, n_slices, 3) turns of theirs that came before them, likewise."""
    requests_so_far: FloatArray
    """(T + 1, n_slices, 3)"""
    requests: FloatArray
    """(T + 1, n_slices, 3) in each."""


class _FoldedCells(NamedTuple):
    """What folded windows say, by cell of all stacks."""

    wealth: FloatArray
    """(n_cells, most bets)"""
    windows: FloatArray
    named: FloatArray
    """(n_cells, 3) as are the next two."""
    earlier: FloatArray
    requests: FloatArray
    correlation: FloatArray
    """(n_cells, 3)"""
    unnamed: FloatArray

    @classmethod
    def of(cls, known: Sequence[Known], shape: tuple[int, int]) -> _FoldedCells:
        """Return what is known of stacks, as (n_cells, most bets) of `shape`."""
        wealth, start = np.full(shape, -np.inf), 0
        for one in known:
            of_stack = one.evidence.log_wealth
            wealth[start : start + len(of_stack), : of_stack.shape[1]] = of_stack
            start += len(of_stack)
        named, earlier = named_and_earlier(np.concatenate([one.effects.named for one in known]))
        return cls(
            wealth=wealth,
            windows=np.concatenate([one.evidence.windows for one in known]),
            named=named,
            earlier=earlier,
            requests=np.concatenate([one.effects.requests for one in known]),
            correlation=np.concatenate([one.correlation for one in known]),
            unnamed=np.concatenate([one.unnamed for one in known]),
        )


class StackWindows:
    """What open windows hold for one stack."""

    def __init__(self, stack: CheckStack, n_windows: int) -> None:
        """Of so many windows, of which nothing is known."""
        self._stack, self._test = stack, stack.test
        self.has_worst = stack.test.has_worst
        shape = n_windows, stack.n_cells, stack.n_fields
        self.statistics: FloatArray = np.zeros(shape)
        """(T, n_cells, k) as counted so far."""
        self._judged: FloatArray = np.zeros(shape)
        """With what unresolved requests would add at their worst, where it counts for rollback."""
        self.is_resolved: BoolArray = np.ones(shape[:2], dtype=np.bool_)
        """(T, n_cells) whether no request waits for a side."""
        self._ready: FloatArray = np.zeros(shape)
        """What can be staked on."""
        self._must_wait: BoolArray = np.zeros(shape[:2], dtype=np.bool_)
        """(T, n_cells) where a part of a window, by itself, must wait for the other arm."""
        self._has_waited: BoolArray = np.zeros(stack.n_cells, dtype=np.bool_)
        self.waiting: FloatArray = np.zeros((n_windows + 1, *shape[1:]))
        """(T + 1, n_cells, k) what waits for the other arm before each window, and in the end."""
        self.scales: FloatArray = no_scale(self.waiting)
        """(T + 1, n_cells, 3) before each window, and after the last; of means alone."""

    def take_over(self, other: StackWindows, is_known: IntArray, places: IntArray) -> None:
        """Take over what is known of windows, (T,), that were at these places, (m,)."""
        self.statistics[is_known] = other.statistics[places]
        self._judged[is_known] = other._judged[places]
        self.is_resolved[is_known] = other.is_resolved[places]
        self._ready[is_known] = other._ready[places]
        self._must_wait[is_known] = other._must_wait[places]
        self._has_waited = other._has_waited

    def put(
        self,
        at: tuple[IntArray, IntArray],
        held: FloatArray,
        worst: FloatArray,
        gauges: FloatArray,
        counts: BoolArray,
    ) -> None:
        """Put what some windows hold in some cells, (m, k)."""
        self.statistics[at] = held
        judged = worst if counts.all() else worst * counts[at[0], None]
        self._judged[at] = judged
        ready, waiting = self._test.split(judged)
        self._ready[at], self._must_wait[at] = ready, waiting.any(axis=-1)
        waits: BoolArray = np.asarray(gauges.any(axis=-1))
        self.is_resolved = ~waits[:, self._stack.places]

    def carry(
        self, changed: BoolArray, first: IntArray, evidence: CheckEvidence, counts: BoolArray
    ) -> BoolArray:
        """Carry what must wait into later windows; return where windows win something else.

        (T, n_cells), as are those that have changed, from the `first` on (n_cells,).
        """
        n = len(changed)
        later: BoolArray = np.asarray(np.arange(n)[:, None] >= first)
        waits: BoolArray = np.asarray(
            self._must_wait.any(axis=0) | evidence.waiting.any(axis=-1), dtype=np.bool_
        )
        cells = np.flatnonzero((waits | self._has_waited) & (first <= n))
        again = changed
        if cells.size:
            before = evidence.waiting[cells]
            self._ready[:, cells], left = carried(self._test, self._judged[:, cells], before)
            self.waiting[0, cells], self.waiting[1:, cells] = before, left
            again = again.copy()
            again[:, cells] = later[:, cells]
        self._has_waited = waits
        if self.has_worst:
            return again
        # The scale before each window follows from all before it.
        cells = np.flatnonzero(first <= n)
        if cells.size:
            self.scales[:, cells] = self._test.scales_of(
                cells, self._ready[:, cells], evidence.scale[cells]
            )
        return later

    def win(self, again: BoolArray, won: FloatArray, has_units: BoolArray) -> None:
        """Write what windows won, (T, n_cells, most bets), where it may be something else."""
        steps, cells = np.nonzero(again)
        if not steps.size:
            return
        ready = self._ready[steps, cells]
        is_ready = ready.any(axis=-1)
        has_units[steps, cells] = is_ready
        won[steps, cells] = 0.0
        at = steps[is_ready], cells[is_ready]
        if at[0].size:
            some = self._test.increments_of(at[1], ready[is_ready], "rollback", self.scales[at])
            won[*at, : self._test.n_bets] = some


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
