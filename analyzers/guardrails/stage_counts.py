"""Data quality and progress of a stage, from its closed windows.

Requests that went missing are seldom random ones, so what is missing blocks promotion. It never
stops a rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType, field

from understudy.analyzers.guardrails.model_changes import ModelChange, SideModels
from understudy.analyzers.guardrails.slices import MIRRORED_MODE
from understudy.analyzers.sequential import QualityMeasures, StageTotals, blocks, sample_ratio
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.events import SINGLE_MODES
from understudy.schemas.rollouts import Stage
from understudy.schemas.row_lists import RowLists

FIRST_GUESS: Final = 20.0
"""Requests that go to an arm together, before anything was seen: a conversation is assigned as a
whole, however long it lasts, so more caution is due than with outcomes, and delays no
rollback."""


class Assigned(msgspec.Struct, frozen=True, array_like=True):
    """Requests or conversations, and how many of them the candidate got."""

    candidate: int = 0
    all: int = 0

    def __add__(self, other: Assigned) -> Assigned:
        return Assigned(self.candidate + other.candidate, self.all + other.all)

    def log_evidence(self, share: float) -> float:
        """Return the log evidence that the candidate's share is not the planned one."""
        return sample_ratio.log_evidence(self.candidate, self.all, share)

    def moments(self) -> FloatArray:
        """Return units, their total, and the variance of one unit."""
        share = self.candidate / self.all if self.all else 0.0
        variance = share * (1.0 - share) * self.all / (self.all - 1) if self.all > 1 else np.nan
        return np.array([self.all, self.candidate, variance])


class Assignment(NamedTuple):
    """How the requests of a folded window were assigned to the arms."""

    start_ms: int
    first_turns: Assigned
    unnamed: Assigned
    is_late: bool
    is_independent: bool
    """Whether the policy says that no two requests belong together."""


class StageSums(NamedTuple):
    """What closed rows say about the progress of a stage."""

    stable_requests: int
    candidate_requests: int
    candidate_model_requests: int
    """Of these, those that the model answered or failed: not what the gateway dropped."""
    pairs: int
    unmatched: int
    lost_candidate: int
    """Requests whose candidate side never came, though stable's did and the join timeout passed."""
    lost_stable: int
    stable_models: Mapping[str, int]
    """Requests by the model that answered."""
    candidate_models: Mapping[str, int]

    @classmethod
    def of(cls, lists: RowLists, places: Sequence[int]) -> StageSums:
        """Return what some rows of a message say."""
        numbers = [
            sum(_added_up(getattr(lists, name), places) for name in names)
            for names in STAGE_COLUMNS
        ]
        sides = [_added(getattr(lists, name), places) for name in MODEL_COLUMNS]
        return cls._make([*numbers, *sides])


STAGE_COLUMNS: Final = (
    ("stable_requests",),
    ("candidate_requests",),
    ("candidate_model_requests",),
    ("pair_pairs",),
    ("events_unmatched_stable", "events_unmatched_candidate"),
    ("pair_lost_candidate",),
    ("pair_lost_stable",),
)
"""Columns of rows that each number of `StageSums` adds up."""
MODEL_COLUMNS: Final = ("stable_models", "candidate_models")
ARRIVED_COLUMNS: Final = (
    (
        "events_paired", "events_single", "events_unmatched_stable", "events_unmatched_candidate",
        "events_unmatched_control", "events_late",
    ),
    ("events_late",),
)  # fmt: skip
"""Columns of events that have ended somewhere, and of those that came late."""


def counts_for(stage: Stage, mode: str | None) -> bool:
    """Return whether rows in a mode count for a stage: in its own, or mirrored besides it."""
    return mode == stage.mode or (stage.mirror > 0.0 and mode == MIRRORED_MODE)


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
    lost_candidate: int = 0
    """Requests whose candidate side never came, though stable's did and the join timeout passed."""
    lost_stable: int = 0
    stable_models: SideModels = field(default_factory=SideModels)
    candidate_models: SideModels = field(default_factory=SideModels)
    log_sample_ratio: float = 0.0
    """The most evidence ever against the planned share: a breach stays one."""
    first_turns: Assigned = Assigned()
    """Conversations that requests name."""
    unnamed: Assigned = Assigned()
    """Requests that name no conversation."""
    log_unnamed: float = 0.0
    """Evidence of those against the planned share, divided by their design effect."""
    unnamed_blocks: FloatArray = field(default_factory=blocks.begin)
    """State of `blocks` for how they are assigned."""

    def add_mirrored(self, sums: StageSums) -> None:
        """Take closed rows of mirrored requests: they say what is missing, and are no progress."""
        self.pairs += sums.pairs
        self.unmatched += sums.unmatched
        self.lost_candidate += sums.lost_candidate
        self.lost_stable += sums.lost_stable

    def add(self, sums: StageSums, stage: Stage, start_ms: int, end_ms: int) -> None:
        """Take closed rows in the stage's mode, of a window from start to end."""
        if sums.stable_requests or sums.candidate_requests:
            self._extend(start_ms, end_ms)
        self.requests += sums.candidate_model_requests
        self.pairs += sums.pairs
        self.unmatched += sums.unmatched
        self.lost_candidate += sums.lost_candidate
        self.lost_stable += sums.lost_stable
        self.stable_models.add(sums.stable_models, start_ms)
        self.candidate_models.add(sums.candidate_models, start_ms)
        if stage.mode in SINGLE_MODES:
            self.single_candidate += sums.candidate_requests
            self.single += sums.candidate_requests + sums.stable_requests

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

    def check_sample_ratio(self, stage: Stage, window: Assignment) -> None:
        """Take how a folded window's requests were assigned, and compare it with the planned share.

        A conversation is assigned as a whole, so its first turn alone counts. Requests that name
        none are divided by how alike earlier ones were assigned.
        """
        if stage.mode not in SINGLE_MODES or not 0.0 < stage.share < 1.0:
            return
        before = self.unnamed.log_evidence(stage.share)
        self.first_turns = self.first_turns + window.first_turns
        self.unnamed = self.unnamed + window.unnamed
        divisor = 1.0 if window.is_independent else self._unnamed_factor()
        self.log_unnamed += (self.unnamed.log_evidence(stage.share) - before) / divisor
        if not window.is_late:
            sums = window.unnamed.moments()
            self.unnamed_blocks = blocks.after(self.unnamed_blocks, window.start_ms, sums)
        evidence = self.first_turns.log_evidence(stage.share) + self.log_unnamed
        self.log_sample_ratio = max(self.log_sample_ratio, evidence)

    def _unnamed_factor(self) -> float:
        known = self.unnamed_blocks
        return max(float(blocks.factor(known)), float(blocks.factor(known, FIRST_GUESS)))

    @property
    def quality(self) -> QualityMeasures:
        """Shares of what is missing, and the evidence on the arms."""
        return QualityMeasures(
            _share(self.unmatched, self.pairs + self.unmatched),
            _share(self.late, self.events),
            self.log_sample_ratio,
        )

    @property
    def changed_models(self) -> dict[str, list[ModelChange]]:
        """Side to the models that it answers with since the stage began, and did not at first."""
        sides = {"stable": self.stable_models, "candidate": self.candidate_models}
        return {name: found for name, side in sides.items() if (found := side.changes())}

    @property
    def lost_candidate_share(self) -> float:
        """Of the requests that should have both sides: the candidate's never came."""
        return _share(self.lost_candidate, self.pairs + self.unmatched)

    @property
    def lost_stable_share(self) -> float:
        """The same, of stable's side."""
        return _share(self.lost_stable, self.pairs + self.unmatched)

    @property
    def judged_share(self) -> float:
        """Share of the stage's requests that the evidence rests on."""
        quality = self.quality
        return (1.0 - quality.unmatched_share) * (1.0 - quality.late_share)

    @property
    def totals(self) -> StageTotals:
        """How far the stage has come."""
        duration_ms = (self.last_ms or 0) - (self.first_ms or 0)
        return StageTotals(self.requests, duration_ms / 1000.0, self.quality)


def _added_up(column: list[int] | UnsetType, places: Sequence[int]) -> int:
    return 0 if column is UNSET else sum(column[place] for place in places)


def _added(column: list[dict[str, int]] | UnsetType, places: Sequence[int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in () if column is UNSET else (column[place] for place in places):
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
