"""The evidence of one check at each of many windows that are folded one after the other.

The same arithmetic as `CheckEvidence.fold`, with the windows along the first axis: for a backtest,
which folds thousands. Bits are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from understudy.analyzers.guardrails.check_evidence import (
    LATELY_MS,
    CheckEvidence,
    FoldedWindow,
)
from understudy.analyzers.guardrails.sequential_tests import SequentialTest, carried
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.analyzers.sequential.restart import log_shares, restarted_path


class FoldedWindows(NamedTuple):
    """What T windows hold for a check, by slice, in their order; none of them is late."""

    starts_ms: IntArray
    statistics: FloatArray
    """(T, n_slices, k) of all rows."""
    of_stage: FloatArray
    """(T, n_slices, k) of those that belong to the present stage."""
    counts_for_rollback: BoolArray
    """(T,) False where an operator has resumed since."""
    design_effect: FloatArray
    """(T, n_slices) that of each must come from windows before it."""


class EvidenceSteps:
    """The evidence before the first of T windows, and after each of them."""

    def __init__(
        self, test: SequentialTest, evidence: CheckEvidence, windows: FoldedWindows
    ) -> None:
        self._evidence, self._windows = evidence, windows
        divisor = windows.design_effect[..., None]
        counts = windows.counts_for_rollback[:, None, None]
        of_stage, waiting_of_stage = carried(test, windows.of_stage, evidence.waiting_of_stage)
        judged, waiting = carried(test, windows.statistics * counts, evidence.waiting)
        ready = np.where(counts, judged, of_stage)
        scale = test.scales_before(ready, evidence.scale)
        won = test.increments(of_stage, "promotion", scale[:-1]) / divisor
        self.won = _summed(evidence.won, won)
        self._waiting_of_stage = _after(evidence.waiting_of_stage, waiting_of_stage)
        self._waiting = _after(evidence.waiting, waiting)
        self._scale = scale
        has_units = np.asarray(judged.any(axis=-1))
        self._windows_before = _summed(evidence.windows, has_units.astype(np.float64))
        fresh = np.where(has_units, log_shares(self._windows_before[:-1]), -np.inf)
        lost = test.increments(judged, "rollback", scale[:-1]) / divisor
        self.log_wealth = restarted_path(evidence.log_wealth, lost, fresh)
        self._interval_sums = _summed(
            evidence.interval_sums, test.interval_sums(judged, scale[:-1])
        )
        self._total = _summed(evidence.total, windows.statistics)
        self.closed = _summed(evidence.closed, windows.of_stage)

    def at(self, step: int) -> CheckEvidence:
        """Return the evidence after so many windows, as views, for a look; 0 is before the first.

        What came lately is not in it: see `taken`.
        """
        return replace(
            self._evidence,
            log_wealth=self.log_wealth[step],
            windows=self._windows_before[step],
            waiting=self._waiting[step],
            scale=self._scale[step],
            won=self.won[step],
            waiting_of_stage=self._waiting_of_stage[step],
            total=self._total[step],
            closed=self.closed[step],
            interval_sums=self._interval_sums[step],
        )

    def taken(self, step: int) -> CheckEvidence:
        """Return the evidence after so many windows as the state keeps it."""
        evidence = self.at(step)
        stretches = self._windows.starts_ms[:step] // LATELY_MS
        if stretches.size:
            first = np.searchsorted(stretches, stretches[-1])  # of the newest stretch
            first = np.searchsorted(stretches, stretches[max(0, first - 1)])  # of the one before
            for place in range(int(first), step):
                evidence.note_lately(self._window(place))
        for name in evidence.__struct_fields__:
            value = getattr(evidence, name)
            if isinstance(value, np.ndarray):
                setattr(evidence, name, value.copy())
        return evidence

    def _window(self, place: int) -> FoldedWindow:
        windows = self._windows
        return FoldedWindow(
            start_ms=int(windows.starts_ms[place]),
            statistics=windows.statistics[place],
            of_stage=windows.of_stage[place],
            counts_for_rollback=bool(windows.counts_for_rollback[place]),
            is_late=False,
        )


def _summed(first: FloatArray, added: FloatArray) -> FloatArray:
    """Return sums before the first of T additions and after each, (T + 1, ...)."""
    result: FloatArray = np.cumsum(np.concatenate([first[None], added]), axis=0)
    return result


def _after(first: FloatArray, later: FloatArray) -> FloatArray:
    return np.concatenate([first[None], later])
