"""Data quality and progress of a stage, from its closed windows.

Requests that went missing are seldom random ones, so what is missing blocks promotion. It never
stops a rollback.
"""

from __future__ import annotations

import msgspec

from understudy.analyzers.sequential import QualityMeasures, StageTotals, sample_ratio
from understudy.schemas.events import SINGLE_MODES
from understudy.schemas.rollouts import Stage
from understudy.schemas.windows import WindowRow


class StageCounts(msgspec.Struct, array_like=True):
    """What adds up over a stage. Times are epoch milliseconds of event time."""

    since_ms: int = 0
    """Windows that start before this belong to the stage before."""
    first_ms: int | None = None
    last_ms: int | None = None
    requests: int = 0
    events: int = 0
    """Since the stage began, in whichever window they count."""
    late: int = 0
    pairs: int = 0
    unmatched: int = 0
    single_candidate: int = 0
    """Requests of the candidate where each request has one side, as in a canary."""
    single: int = 0
    log_sample_ratio: float = 0.0
    """The most evidence ever against the planned share: a breach stays one."""

    def includes(self, row: WindowRow, stage: Stage, start_ms: int) -> bool:
        """Return whether a row belongs to the stage."""
        return row.mode == stage.mode and start_ms >= self.since_ms

    def add(self, row: WindowRow, stage: Stage, start_ms: int) -> None:
        """Take a closed row of the stage."""
        if row.stable.requests or row.candidate.requests:
            self._extend(start_ms, start_ms + row.window_s * 1000)
        events = row.events
        lost = events.unmatched_stable + events.unmatched_candidate
        self.requests += row.candidate.requests
        self.pairs += row.pair.pairs
        self.unmatched += lost
        if stage.mode in SINGLE_MODES:
            self.single_candidate += row.candidate.requests
            self.single += row.candidate.requests + row.stable.requests

    def add_arrived(self, events: int, late: int) -> None:
        """Count events as they come, of windows that are open, too.

        Late ones count in the window in which the watermark stands. Beside newer traffic, or at its
        end, that window may stay open for long.
        """
        self.events += events
        self.late += late

    def _extend(self, start_ms: int, ended_ms: int) -> None:
        """Extend the duration to a window with requests; without any it may be that of 1970."""
        self.first_ms = start_ms if self.first_ms is None else min(self.first_ms, start_ms)
        self.last_ms = ended_ms if self.last_ms is None else max(self.last_ms, ended_ms)

    def check_sample_ratio(self, stage: Stage) -> None:
        """Compare the shares of the arms with the planned ones."""
        if stage.mode in SINGLE_MODES and 0.0 < stage.share < 1.0:
            evidence = sample_ratio.log_evidence(self.single_candidate, self.single, stage.share)
            self.log_sample_ratio = max(self.log_sample_ratio, evidence)

    @property
    def quality(self) -> QualityMeasures:
        """Shares of what is missing, and the evidence on the arms."""
        return QualityMeasures(
            _share(self.unmatched, self.pairs + self.unmatched),
            _share(self.late, self.events),
            self.log_sample_ratio,
        )

    @property
    def totals(self) -> StageTotals:
        """How far the stage has come."""
        duration_ms = (self.last_ms or 0) - (self.first_ms or 0)
        return StageTotals(self.requests, duration_ms / 1000.0, self.quality)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
