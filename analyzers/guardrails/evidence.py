"""EvidenceState: the evidence of one check in one slice, and what it rests on.

Rollback takes new units as they come, restarting once a window; promotion takes closed windows.
Each looks after what has to wait for the other arm, and learns its scale from earlier batches only.
Overdispersion is learnt from closed windows, and evidence is divided again as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from understudy.analyzers.guardrails.sequential_tests import AnyTest, IntervalSums
from understudy.analyzers.guardrails.statistics import AnyStatistics
from understudy.analyzers.sequential import Direction, Evidence, Overdispersion, Scale
from understudy.analyzers.sequential.restart import log_share

SCATTER_UNITS: Final = 10.0
"""Units that a window needs before its scatter says something about overdispersion."""
_NEVER: Final = -1


class Mark(NamedTuple):
    """A moment in event time, start of a window in epoch milliseconds, and units by then."""

    since_ms: int
    total: AnyStatistics


@dataclass(slots=True)
class Stream:
    """One direction: what waits, and the scale learnt so far."""

    waiting: AnyStatistics
    scale: Scale = field(default_factory=Scale)


@dataclass(slots=True)
class EvidenceState:
    """All that is kept of a check in a slice."""

    evidence: Evidence
    phi: Overdispersion
    rollback: Stream
    promotion: Stream
    total: AnyStatistics
    """All units since the rollout began, early ones included."""
    closed: AnyStatistics
    """Units of closed windows since the stage began."""
    scattered: AnyStatistics
    """The window that overdispersion will learn from next."""
    marks: list[Mark] = field(default_factory=list)
    """Where each stake last stood at its beginning."""
    fresh_ms: int = _NEVER
    scattered_ms: int = _NEVER
    shown: IntervalSums = field(default_factory=IntervalSums)
    _logs: tuple[Evidence, float, float] | None = field(default=None, repr=False, compare=False)
    """Evidence and its logarithms, as every look asks for them and few change."""

    @classmethod
    def begin(cls, test: AnyTest, *, independent: bool) -> EvidenceState:
        """Nothing seen yet."""
        nothing = test.none()
        phi = Overdispersion(guess=1.0) if independent else Overdispersion()
        evidence = Evidence.begin(test.n_bets)
        return cls(evidence, phi, Stream(nothing), Stream(nothing), nothing, nothing, nothing)

    def add(self, test: AnyTest, counts: AnyStatistics, newest_window_ms: int) -> None:
        """Take new units as they came, the newest of them from the given window."""
        if not counts:
            return
        ready = self._take(self.rollback, test, counts)
        restart = newest_window_ms > self.fresh_ms
        if restart or not self.marks:
            self._mark(newest_window_ms)
        self.total = self.total + counts
        if ready:
            scale = self.rollback.scale
            won = test.increments(ready, "rollback", scale)
            self.evidence = self.evidence.fold_rollback(won, self.phi.phi, restart=restart)
            self.shown = test.interval_sums(ready, scale, self.shown)
            self.rollback.scale = test.updated_scale(ready, scale)
            self.fresh_ms = max(self.fresh_ms, newest_window_ms)

    def close(self, test: AnyTest, counts: AnyStatistics, window_ms: int) -> None:
        """Take what closed windows hold that start at `window_ms`."""
        if not counts:
            return
        self.closed = self.closed + counts
        ready = self._take(self.promotion, test, counts)
        if ready:
            won = test.increments(ready, "promotion", self.promotion.scale)
            self.evidence = self.evidence.fold_promotion(won, self.phi.phi)
            self.promotion.scale = test.updated_scale(ready, self.promotion.scale)
        self._scatter(test, counts, window_ms)

    def next_stage(self) -> None:
        """Promotion is earned anew."""
        nothing = type(self.closed)()
        self.evidence = self.evidence.next_stage()
        self.closed, self.promotion.waiting = nothing, nothing

    def forgive(self, test: AnyTest) -> None:
        """Rollback evidence begins anew, after an operator resumed."""
        fresh = Evidence.begin(test.n_bets)
        self.evidence = Evidence(fresh.rollback, self.evidence.promotion)
        self.fresh_ms, self.marks = _NEVER, []
        self.rollback.waiting = test.none()

    def recent(self) -> Mark:
        """Units since the winning stake last stood at its beginning, and when: what to report."""
        if not self.marks:
            return Mark(_NEVER, self.total)
        wealth = self.evidence.rollback.log_wealth
        begun = self.marks[wealth.index(max(wealth))]
        return Mark(begun.since_ms, self.total - begun.total)

    def log_evidence(self, direction: Direction) -> float:
        """Natural logarithm; -inf for rollback before any unit."""
        if self._logs is None or self._logs[0] is not self.evidence:
            evidence = self.evidence
            self._logs = (
                evidence, evidence.rollback.log_evidence, evidence.promotion.log_evidence
            )  # fmt: skip
        _, rollback, promotion = self._logs
        return rollback if direction == "rollback" else promotion

    def _take(self, stream: Stream, test: AnyTest, counts: AnyStatistics) -> AnyStatistics:
        ready: AnyStatistics
        ready, stream.waiting = test.split(stream.waiting + counts)
        return ready

    def _mark(self, window_ms: int) -> None:
        """Note which stakes are worth less than starting again: their past no longer counts."""
        rollback = self.evidence.rollback
        fresh = log_share(rollback.steps, rollback.budget_windows)
        here = Mark(window_ms, self.total)
        marks = self.marks or [here] * len(rollback.log_wealth)
        self.marks = [
            here if wealth < fresh else mark
            for wealth, mark in zip(rollback.log_wealth, marks, strict=True)
        ]

    def _scatter(self, test: AnyTest, counts: AnyStatistics, window_ms: int) -> None:
        if window_ms != self.scattered_ms:
            scatter = test.window_harm(self.scattered)
            if scatter is not None and scatter.units >= SCATTER_UNITS:
                self.phi = self.phi.fold(*scatter)
                self.evidence = self.evidence.divided(self.phi.phi)
                self.scattered = test.none()
            self.scattered_ms = window_ms
        self.scattered = self.scattered + counts

    def to_builtins(self) -> list[Any]:
        """Numbers and lists of numbers."""
        return [
            self.evidence.to_list(),
            self.phi.to_list(),
            *(
                [msgspec.to_builtins(s.waiting), s.scale.to_list()]
                for s in (self.rollback, self.promotion)
            ),
            *map(msgspec.to_builtins, (self.total, self.closed, self.scattered)),
            [self.fresh_ms, self.scattered_ms],
            msgspec.to_builtins(self.shown),
            *_marks_to_builtins(self.marks),
        ]

    @classmethod
    def from_builtins(cls, kept: Sequence[Any]) -> EvidenceState:
        """What `to_builtins` wrote."""
        evidence, phi, rollback, promotion, total, closed, scattered, times, shown, *marks = kept
        return cls(
            evidence=Evidence.from_list(evidence),
            phi=Overdispersion.from_list(phi),
            rollback=_stream(rollback),
            promotion=_stream(promotion),
            total=_statistics(total),
            closed=_statistics(closed),
            scattered=_statistics(scattered),
            marks=_marks_from_builtins(*marks),
            fresh_ms=times[0],
            scattered_ms=times[1],
            shown=IntervalSums(*shown),
        )


def _stream(kept: Sequence[Any]) -> Stream:
    waiting, scale = kept
    return Stream(_statistics(waiting), Scale.from_list(scale))


def _marks_to_builtins(marks: list[Mark]) -> tuple[list[Any], list[int]]:
    """Marks that differ, and which of them each stake has: most stakes share theirs."""
    distinct = list(dict.fromkeys(marks))
    places = [distinct.index(mark) for mark in marks]
    return [[mark.since_ms, msgspec.to_builtins(mark.total)] for mark in distinct], places


def _marks_from_builtins(distinct: list[Any], places: list[int]) -> list[Mark]:
    marks = [Mark(since_ms, _statistics(total)) for since_ms, total in distinct]
    return [marks[place] for place in places]


def _statistics(kept: Any) -> AnyStatistics:
    statistics: AnyStatistics = msgspec.convert(kept, AnyStatistics)
    return statistics
