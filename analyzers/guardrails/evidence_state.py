"""The evidence of one check in one slice, and what it rests on.

Rollback takes new units as they come, restarting once a window; promotion takes closed windows.
Each holds back what has to wait for the other arm, and learns its scale from earlier batches only.
Overdispersion is learnt from closed windows, and evidence is divided again as it is.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec
from msgspec import field

from understudy.analyzers.guardrails.sequential_tests import AnyTest, IntervalSums
from understudy.analyzers.guardrails.statistics import AnyStatistics
from understudy.analyzers.sequential import (
    Direction,
    Overdispersion,
    RestartedWealth,
    Scale,
    Wealth,
)
from understudy.analyzers.sequential.restart import log_share

LEAST_UNITS: Final = 10.0
"""Units that a window needs before its variance says something about overdispersion."""
NEVER_MS: Final = -1
"""Before any window: even the one that begins in 1970, of events without a watermark, is later."""
W = TypeVar("W", RestartedWealth, Wealth)


class EvidenceStart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A window, by its start, and statistics that count up to it or from it."""

    window_ms: int
    statistics: AnyStatistics


class DirectionState(msgspec.Struct, Generic[W], array_like=True):
    """One direction: the evidence, the units that wait for the other arm, the scale learnt."""

    wealth: W
    waiting: AnyStatistics
    scale: Scale = Scale()


class EvidenceState(msgspec.Struct, array_like=True):
    """The state of a check in a slice."""

    rollback: DirectionState[RestartedWealth]
    promotion: DirectionState[Wealth]
    overdispersion: Overdispersion
    total: AnyStatistics
    """All units since the rollout began, early ones included."""
    closed: AnyStatistics
    """Units of closed windows since the stage began."""
    latest_closed: AnyStatistics
    """Units of the closed window from which overdispersion is learnt next."""
    latest_closed_ms: int = NEVER_MS
    latest_restart_ms: int = NEVER_MS
    """The newest window at which fresh wealth joined the rollback evidence."""
    interval_sums: IntervalSums = IntervalSums()
    starts: list[EvidenceStart] = field(default_factory=list)
    """Where evidence last began, with the units by then; see `start_of_bet`."""
    start_of_bet: list[int] = field(default_factory=list)
    """(n_bets,) places in `starts`: most stakes share theirs."""

    @classmethod
    def begin(cls, test: AnyTest, *, independent: bool) -> EvidenceState:
        """Return the state before any unit; `independent` says that no two requests are related."""
        none: AnyStatistics = test.none()
        return cls(
            rollback=DirectionState(RestartedWealth(), none),
            promotion=DirectionState(Wealth.begin(test.n_bets), none),
            overdispersion=Overdispersion(guess=1.0) if independent else Overdispersion(),
            total=none,
            closed=none,
            latest_closed=none,
        )

    def add(self, test: AnyTest, statistics: AnyStatistics, newest_window_ms: int) -> None:
        """Take new units as they came, the newest of them from the given window."""
        if not statistics:
            return
        rollback = self.rollback
        ready, rollback.waiting = _split(test, rollback.waiting + statistics)
        restart = newest_window_ms > self.latest_restart_ms
        if restart or not self.starts:
            self._note_starts(test.n_bets, newest_window_ms)
        self.total = self.total + statistics
        if ready:
            won = test.increments(ready, "rollback", rollback.scale)
            rollback.wealth = rollback.wealth.after(
                won, self.overdispersion.factor, restart=restart
            )
            self.interval_sums = test.interval_sums(ready, rollback.scale, self.interval_sums)
            rollback.scale = test.updated_scale(ready, rollback.scale)
            self.latest_restart_ms = max(self.latest_restart_ms, newest_window_ms)

    def close(self, test: AnyTest, statistics: AnyStatistics, window_ms: int) -> None:
        """Take what closed windows hold that start at `window_ms`."""
        if not statistics:
            return
        promotion = self.promotion
        self.closed = self.closed + statistics
        ready, promotion.waiting = _split(test, promotion.waiting + statistics)
        if ready:
            won = test.increments(ready, "promotion", promotion.scale)
            promotion.wealth = promotion.wealth.after(won, self.overdispersion.factor)
            promotion.scale = test.updated_scale(ready, promotion.scale)
        self._learn_overdispersion(test, statistics, window_ms)

    def enter_stage(self) -> None:
        """Begin promotion evidence anew; suspicion of harm stays."""
        promotion = self.promotion
        promotion.wealth = Wealth.begin(len(promotion.wealth.won))
        promotion.waiting = self.closed = type(self.closed)()

    def restart_rollback(self) -> None:
        """Begin rollback evidence anew, after an operator resumed."""
        self.rollback.wealth = RestartedWealth()
        self.rollback.waiting = type(self.total)()
        self.latest_restart_ms = NEVER_MS
        self.starts, self.start_of_bet = [], []

    def recent(self) -> EvidenceStart:
        """Return the window where the strongest stake began, with the statistics since then."""
        if not self.starts:
            return EvidenceStart(NEVER_MS, self.total)
        wealth = self.rollback.wealth.log_wealth
        strongest = wealth.index(max(wealth)) if wealth else 0
        start = self.starts[self.start_of_bet[strongest]]
        return EvidenceStart(start.window_ms, self.total - start.statistics)

    def log_evidence(self, direction: Direction) -> float:
        """Return its natural logarithm; -inf for rollback before any unit."""
        state = self.rollback if direction == "rollback" else self.promotion
        return state.wealth.log_evidence

    def _note_starts(self, n_bets: int, window_ms: int) -> None:
        """Move the start of stakes that are worth less than starting again."""
        wealth, here = self.rollback.wealth, EvidenceStart(window_ms, self.total)
        if not wealth.log_wealth:
            self.starts, self.start_of_bet = [here], [0] * n_bets
            return
        fresh = log_share(wealth.windows, wealth.budget_windows)
        starts = [
            here if log_wealth < fresh else self.starts[place]
            for log_wealth, place in zip(wealth.log_wealth, self.start_of_bet, strict=True)
        ]
        self.starts = list(dict.fromkeys(starts))
        self.start_of_bet = [self.starts.index(start) for start in starts]

    def _learn_overdispersion(
        self, test: AnyTest, statistics: AnyStatistics, window_ms: int
    ) -> None:
        """Learn from the closed window before, once another one begins to close."""
        if window_ms != self.latest_closed_ms:
            harm = test.window_harm(self.latest_closed)
            if harm is not None and harm.units >= LEAST_UNITS:
                self.overdispersion = self.overdispersion.after_window(*harm)
                factor = self.overdispersion.factor
                self.rollback.wealth = self.rollback.wealth.divided_by(factor)
                self.promotion.wealth = self.promotion.wealth.divided_by(factor)
                self.latest_closed = test.none()
            self.latest_closed_ms = window_ms
        self.latest_closed = self.latest_closed + statistics


def _split(test: AnyTest, statistics: AnyStatistics) -> tuple[AnyStatistics, AnyStatistics]:
    ready, waiting = test.split(statistics)
    return ready, waiting
