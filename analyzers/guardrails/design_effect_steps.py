"""The design effect of one check at each of many windows that are folded one after the other.

The same as `design_effect.divisors` and `after_window` for each, with the windows along the first
axis: for a backtest, which folds thousands. Bits are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from understudy.analyzers.guardrails.design_effect import (
    LEAST_UNITS,
    Assumption,
    DesignEffect,
    EffectCells,
    LookSums,
    TurnSums,
    correlations,
    design_effect_of,
    known_sums,
    named_and_earlier,
    unnamed_factors,
)
from understudy.analyzers.guardrails.sequential_tests import AnyTest
from understudy.analyzers.sequential import blocks
from understudy.analyzers.sequential.bets import FloatArray, IntArray

_STABLE, _HARM = range(2)
"""What blocks of time are compared by."""


class EffectWindows(NamedTuple):
    """What T windows say about a check, in their order; none of them is late."""

    starts_ms: IntArray
    statistics: FloatArray
    """(T, n_slices, k)"""
    together: FloatArray
    """(T, k) of all requests together."""
    seen: TurnSums


class DesignEffectSteps:
    """What is known before the first of T windows, and after each of them."""

    def __init__(
        self, test: AnyTest, known: DesignEffect, windows: EffectWindows, assumption: Assumption
    ) -> None:
        self._known = known
        turns, requests = windows.seen
        sums = known_sums(test, windows.statistics, turns)
        self._named = np.cumsum(np.concatenate([known.named[None], sums]), axis=0)
        self._requests = np.cumsum(np.concatenate([known.requests[None], requests]), axis=0)
        self._compare_blocks(test, windows)
        unnamed = self._unnamed(assumption)[:, None]
        cells = EffectCells.of([(test, known.slices)])
        shown = correlations(cells, self._named)
        named, earlier = named_and_earlier(self._named)
        of_windows = LookSums(
            shown[:-1], named[1:], earlier[1:], self._requests[1:], requests, unnamed[:-1]
        )
        self.of_windows = design_effect_of(cells, of_windows, assumption)
        """(T, n_slices) what divides the increments of each window."""
        of_looks = LookSums(
            shown, named, earlier, self._requests, np.zeros_like(self._requests), unnamed
        )
        self.of_looks = design_effect_of(cells, of_looks, assumption)
        """(T + 1, n_slices) what is told after so many windows."""

    def at(self, step: int) -> DesignEffect:
        """Return what is known after so many windows; 0 is before the first."""
        n_compared = int(self._compared[step])
        both = self._blocks_after
        if n_compared < len(self._starts_ms):
            part = self._starts_ms[:n_compared], self._sums[:n_compared]
            both = blocks.path(self._blocks_before, *part)[1]
        stable_blocks, harm_blocks = both[_STABLE].copy(), both[_HARM].copy()
        return replace(
            self._known,
            named=self._named[step].copy(),
            requests=self._requests[step].copy(),
            pending=self._pending[step].copy(),
            stable_blocks=stable_blocks,
            harm_blocks=harm_blocks,
            stable_bad=float(self._stable_bad[n_compared]),
        )

    def _compare_blocks(self, test: AnyTest, windows: EffectWindows) -> None:
        """Compare blocks of time, at the windows after which there is enough to compare."""
        known = self._known
        self._pending, at, sums = _enough_to_compare(test, known.pending, windows.together)
        harm = np.nan_to_num(test.window_harm(sums))
        stable = np.nan_to_num(test.stable_harm(sums))
        self._starts_ms, self._sums = windows.starts_ms[at], np.stack([stable, harm], axis=1)
        self._stable_bad = np.cumsum(np.concatenate([[known.stable_bad], stable[:, 1]]))
        is_compared = np.zeros(len(windows.starts_ms) + 1, dtype=np.int64)
        is_compared[at + 1] = 1
        self._compared = np.cumsum(is_compared)

    def _unnamed(self, assumption: Assumption) -> FloatArray:
        """Return the factor of requests that name no conversation, (T + 1,)."""
        self._blocks_before = np.stack([self._known.stable_blocks, self._known.harm_blocks])
        before, self._blocks_after = blocks.path(self._blocks_before, self._starts_ms, self._sums)
        both = np.concatenate([before, self._blocks_after[None]])
        stable, harm = both[:, _STABLE], both[:, _HARM]
        return unnamed_factors(stable, harm, self._stable_bad, assumption)[self._compared]


def _enough_to_compare(
    test: AnyTest, pending: FloatArray, together: FloatArray
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return what is pending after so many of T windows, and where it is enough to be compared.

    That is (T + 1, k), the (J,) windows and the (J, k) statistics compared then.
    """
    if not pending.any() and _is_enough(test, together).all():
        return np.zeros((len(together) + 1, pending.size)), np.arange(len(together)), together
    after, at, compared = [pending], [], []
    for step, statistics in enumerate(together):
        pending = pending + statistics
        if _is_enough(test, pending):
            at.append(step)
            compared.append(pending)
            pending = np.zeros_like(pending)
        after.append(pending)
    sums = np.array(compared).reshape(len(at), pending.size)
    return np.array(after), np.array(at, dtype=np.int64), sums


def _is_enough(test: AnyTest, statistics: FloatArray) -> npt.NDArray[np.bool_]:
    is_enough: npt.NDArray[np.bool_] = (
        np.nan_to_num(test.window_harm(statistics)[..., 0]) >= LEAST_UNITS
    )
    return is_enough
