"""The evidence of one check in all its slices: what folded windows have won, and what it rests on.

Arrays have a row for each slice. Windows are folded one at a time, in their order: everything that
a window is judged by (scale, design effect) comes from windows before it. What it wins is divided
by the design effect once and never again. `path` goes on from there through windows that are still
open and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np
from msgspec.structs import replace

from understudy.analyzers.guardrails.sequential_tests import SequentialTest
from understudy.analyzers.sequential import Direction
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.restart import log_shares, restarted

LATELY_MS: Final = 60_000
"""Event time after which sums of what was folded lately begin anew: they reach back one to two
minutes, chosen by time and not by what it shows."""


class FoldingTest(Protocol):
    """What folding asks of a test, or of several of a kind: see `SequentialTest`."""

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Split off what can be staked on now from what must wait for units of the other arm."""

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        """Return the log-wealth won on a batch, (n_slices, n_bets)."""

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the scale before each of T batches, and after the last: (T + 1, n_slices, 3)."""

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return what an interval needs of a batch, (n_slices, 3)."""


class FoldedWindow(NamedTuple):
    """What a window holds for a check, by slice."""

    start_ms: int

    statistics: FloatArray
    """(n_slices, k) of all its rows."""
    of_stage: FloatArray
    """(n_slices, k) of those that belong to the present stage."""
    counts_for_rollback: bool
    """False where an operator has resumed since: what was known by then is forgiven."""
    is_late: bool
    """What came after its window was folded: it brings no fresh wealth."""


class CheckEvidence(msgspec.Struct, array_like=True):
    """The state of a check; all arrays are (n_slices, …) float64."""

    slices: list[str]
    log_wealth: FloatArray
    """(…, n_bets) of rollback evidence."""
    windows: FloatArray
    """(…,) windows that could bring fresh wealth."""
    waiting: FloatArray
    """(…, k) units that wait for the other arm."""
    scale: FloatArray
    """(…, 3) what earlier windows say about variances."""
    won: FloatArray
    """(…, n_bets) promotion evidence since the stage began."""
    waiting_of_stage: FloatArray
    """(…, k) the same, of units that wait to count for promotion."""
    total: FloatArray
    """(…, k) units of folded windows since the rollout began."""
    closed: FloatArray
    """(…, k) units of folded windows since the stage began."""
    interval_sums: FloatArray
    """(…, 3) what the interval of a mean rests on."""
    lately: FloatArray
    """(…, k) units of folded windows of the newest stretch of `LATELY_MS`."""
    before_that: FloatArray
    """(…, k) those of the stretch before it."""
    lately_ms: int = -1
    """Start of the newest stretch; -1 before any."""
    before_that_ms: int = -1

    @classmethod
    def begin(cls, test: SequentialTest, slices: Sequence[str]) -> CheckEvidence:
        """Return the state before any unit."""
        n, n_fields = len(slices), len(test.fields)
        return cls(
            slices=list(slices),
            log_wealth=np.full((n, test.n_bets), -np.inf),
            windows=np.zeros(n),
            waiting=np.zeros((n, n_fields)),
            scale=np.zeros((n, 3)),
            won=np.zeros((n, test.n_bets)),
            waiting_of_stage=np.zeros((n, n_fields)),
            total=np.zeros((n, n_fields)),
            closed=np.zeros((n, n_fields)),
            interval_sums=np.zeros((n, 3)),
            lately=np.zeros((n, n_fields)),
            before_that=np.zeros((n, n_fields)),
        )

    def covering(self, test: SequentialTest, slices: Sequence[str]) -> CheckEvidence:
        """Return the state with these slices in this order; those that are new begin."""
        if self.slices == list(slices):
            return self
        places = [self.slices.index(name) if name in self.slices else None for name in slices]
        begun = CheckEvidence.begin(test, slices)
        begun.lately_ms, begun.before_that_ms = self.lately_ms, self.before_that_ms
        new = [place for place, old in enumerate(places) if old is not None]
        old = [place for place in places if place is not None]
        for name in _ARRAYS:
            getattr(begun, name)[new] = getattr(self, name)[old]
        return begun

    @classmethod
    def stacked(cls, parts: Sequence[CheckEvidence]) -> CheckEvidence:
        """Return the evidence of checks of one kind as that of one, their slices in order.

        At least one. Its times of what came lately are those of the first check.
        """
        return replace(
            parts[0],
            slices=[name for one in parts for name in one.slices],
            **{name: np.concatenate([getattr(one, name) for one in parts]) for name in _ARRAYS},
        )

    def parts(self, slices: Sequence[Sequence[str]], cells: Iterable[slice]) -> list[CheckEvidence]:
        """Return the evidence of each of the checks that were stacked, as views."""
        arrays = [getattr(self, name) for name in _ARRAYS]
        return [
            CheckEvidence(
                slices=list(names),
                lately_ms=self.lately_ms,
                before_that_ms=self.before_that_ms,
                **dict(zip(_ARRAYS, [array[own] for array in arrays], strict=True)),
            )
            for names, own in zip(slices, cells, strict=True)
        ]

    def fold(self, test: FoldingTest, window: FoldedWindow, design_effect: FloatArray) -> None:
        """Take a window that won't change any more, or what came late to one.

        The design effect (n_slices,) must come from windows before it.
        """
        divisor = design_effect[:, None]
        judged, self.waiting_of_stage = test.split(self.waiting_of_stage + window.of_stage)
        self.won = self.won + test.increments(judged, "promotion", self.scale) / divisor
        if window.counts_for_rollback:
            judged, self.waiting = test.split(self.waiting + window.statistics)
            self._add_to_rollback(test, judged, divisor, is_late=window.is_late)
        self.scale = test.scales_before(judged[None], self.scale)[-1]
        self.total = self.total + window.statistics
        self.closed = self.closed + window.of_stage
        if not window.is_late:
            self.note_lately(window)

    def _add_to_rollback(
        self, test: FoldingTest, ready: FloatArray, divisor: FloatArray, *, is_late: bool
    ) -> None:
        won = test.increments(ready, "rollback", self.scale) / divisor
        counts = ready.any(axis=-1)
        restarts = counts & (self.windows == 0.0) if is_late else counts
        fresh = np.where(restarts, log_shares(self.windows), -np.inf)
        self.log_wealth = restarted(self.log_wealth, won, fresh[:, None])
        self.windows = self.windows + restarts
        self.interval_sums = self.interval_sums + test.interval_sums(ready, self.scale)

    def note_lately(self, window: FoldedWindow) -> None:
        """Keep what a window holds, for a minute or two, as what came lately."""
        stretch_ms = window.start_ms - window.start_ms % LATELY_MS
        if stretch_ms > self.lately_ms:
            self.before_that, self.before_that_ms = self.lately, self.lately_ms
            self.lately, self.lately_ms = np.zeros_like(self.lately), stretch_ms
        self.lately = self.lately + window.statistics

    @property
    def newest_since_ms(self) -> int:
        """Where `newest` begins; -1 before any window."""
        return self.lately_ms if self.before_that_ms < 0 else self.before_that_ms

    @property
    def newest(self) -> FloatArray:
        """(…, k) units folded within the last minutes."""
        return self.before_that + self.lately

    def enter_stage(self) -> None:
        """Begin promotion evidence anew; suspicion of harm stays."""
        self.won = np.zeros_like(self.won)
        self.waiting_of_stage = np.zeros_like(self.waiting_of_stage)
        self.closed = np.zeros_like(self.closed)

    def restart_rollback(self) -> None:
        """Begin rollback evidence anew, after an operator resumed."""
        self.log_wealth = np.full_like(self.log_wealth, -np.inf)
        self.windows = np.zeros_like(self.windows)
        self.waiting = np.zeros_like(self.waiting)


_ARRAYS: Final = tuple(
    name for name, kind in CheckEvidence.__annotations__.items() if kind == "FloatArray"
)
