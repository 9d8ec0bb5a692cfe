"""The design effect of stacked checks: what all of one kind know, and learn of a folded window.

A cell is one check in one slice, as in `check_stacks`; blocks of time are compared check by check,
all requests together. Bits are those of each check by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.design_effect import (
    LEAST_UNITS,
    Assumption,
    DesignEffect,
    EffectCells,
    LookSums,
    TurnSums,
    design_effect_of,
    named_and_earlier,
    unnamed_factors,
)
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.sequential import blocks
from understudy.analyzers.sequential.bets import FloatArray


class EffectTests(NamedTuple):
    """The tests of some checks of one kind."""

    of_cells: StackedTest
    of_checks: StackedTest
    """Each once, whatever its slices."""


class StackedEffects(NamedTuple):
    """What is known of some checks by their folded windows, see `DesignEffect`."""

    named: FloatArray
    """(n_cells, 3, 9) sums of conversations by party."""
    requests: FloatArray
    """(n_cells, 3) by party."""
    pending: FloatArray
    """(n_checks, k) statistics of all requests together that are too few yet to be compared."""
    stable_blocks: FloatArray
    """(n_checks, …) states of `blocks` for stable's own outcomes."""
    harm_blocks: FloatArray
    """The same for the harm."""
    stable_bad: FloatArray
    """(n_checks,) bad outcomes of stable."""

    @classmethod
    def of(cls, effects: Sequence[DesignEffect]) -> StackedEffects:
        """Return what checks know, at least one, their slices one after the other."""
        return cls(
            named=np.concatenate([one.named for one in effects]),
            requests=np.concatenate([one.requests for one in effects]),
            pending=np.array([one.pending for one in effects]),
            stable_blocks=np.array([one.stable_blocks for one in effects]),
            harm_blocks=np.array([one.harm_blocks for one in effects]),
            stable_bad=np.array([one.stable_bad for one in effects]),
        )

    def split(self, slices: Sequence[Sequence[str]]) -> list[DesignEffect]:
        """Return what each check knows, as views, given the names of its slices."""
        result, end = [], 0
        for check, (names, stable_bad) in enumerate(
            zip(slices, self.stable_bad.tolist(), strict=True)
        ):
            start, end = end, end + len(names)
            result.append(
                DesignEffect(
                    slices=list(names),
                    named=self.named[start:end],
                    requests=self.requests[start:end],
                    pending=self.pending[check],
                    stable_blocks=self.stable_blocks[check],
                    harm_blocks=self.harm_blocks[check],
                    stable_bad=stable_bad,
                )
            )
        return result

    def unnamed_factors(self, assumption: Assumption) -> FloatArray:
        """Return the factor of requests that name no conversation, (n_checks,)."""
        return unnamed_factors(self.stable_blocks, self.harm_blocks, self.stable_bad, assumption)

    def divisors(
        self,
        cells: EffectCells,
        correlation: FloatArray,
        unnamed: FloatArray,
        seen: TurnSums,
        assumption: Assumption,
    ) -> FloatArray:
        """Return what divides the increments of T windows after the folded ones, (T, n_cells).

        `correlation` (n_cells, 3) is what `correlations` says of the folded ones, `unnamed`
        (n_cells,) the factor of requests that name no conversation. How many turns there are is no
        outcome, so it is taken from the windows that are judged as well.
        """
        so_far, own = named_and_earlier(self.named), named_and_earlier(seen.turns)
        named, earlier = (
            before + np.cumsum(turns, axis=0) for before, turns in zip(so_far, own, strict=True)
        )
        requests = self.requests + np.cumsum(seen.requests, axis=0)
        known_then = LookSums(correlation, named, earlier, requests, seen.requests, unnamed)
        return design_effect_of(cells, known_then, assumption)

    def after(
        self,
        tests: EffectTests,
        start_ms: int,
        statistics: FloatArray,
        together: FloatArray,
        seen: TurnSums,
    ) -> StackedEffects:
        """Return what is known after a folded window.

        `statistics` are (n_cells, k), `together` (n_checks, k) those of all requests, and the
        arrays of `seen` have no axis of windows.
        """
        sums = tests.of_cells.known_sums(statistics, seen.turns)
        pending = self.pending + together
        known = self._replace(
            named=self.named + sums, requests=self.requests + seen.requests, pending=pending
        )
        harm = np.nan_to_num(tests.of_checks.window_harm(pending))
        is_enough = harm[:, 0] >= LEAST_UNITS
        return known._compared(tests, start_ms, harm, is_enough) if is_enough.any() else known

    def _compared(
        self, tests: EffectTests, start_ms: int, harm: FloatArray, is_enough: np.ndarray
    ) -> StackedEffects:
        """Compare blocks of time where there is enough of it."""
        of_stable = np.nan_to_num(tests.of_checks.stable_harm(self.pending))
        both = np.stack([self.stable_blocks, self.harm_blocks])
        stable, harmed = blocks.after(both, start_ms, np.stack([of_stable, harm]))
        in_blocks = is_enough[:, None, None]
        return self._replace(
            pending=np.where(is_enough[:, None], 0.0, self.pending),
            stable_blocks=np.where(in_blocks, stable, self.stable_blocks),
            harm_blocks=np.where(in_blocks, harmed, self.harm_blocks),
            stable_bad=np.where(is_enough, self.stable_bad + of_stable[:, 1], self.stable_bad),
        )
