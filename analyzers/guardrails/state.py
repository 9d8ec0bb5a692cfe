"""The state of a rollout between two messages, and its JSON.

State is one document. `version`, `policy_hash` and `status` keep their place and
meaning from one release to the next: what an operator or a breach latched outlives all evidence.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import field

from understudy.analyzers.guardrails.evidence_state import EvidenceState
from understudy.analyzers.guardrails.slices import Arrivals
from understudy.analyzers.guardrails.stage_counts import StageCounts
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold, TailThresholds
from understudy.analyzers.guardrails.window_deltas import OpenRows
from understudy.schemas.decisions import Verdict
from understudy.schemas.rollouts import Rollout, policy_hash
from understudy.schemas.windows import Source

STATE_VERSION: Final = 6
"""Rises with every change of the layout below; state of another version is not read."""


class Latch(msgspec.Struct, frozen=True, array_like=True):
    """A rollback or pause that stays until an operator resumes: since when, and why."""

    since_ms: int
    reasons: list[str]
    checks: list[str] = []
    """Those whose evidence led to it; none where an operator did."""


class RolloutStatus(msgspec.Struct, array_like=True):
    """The stage and verdict of a rollout. Times are epoch milliseconds of event time."""

    stage: int = 0
    watermark_ms: int = 0
    newest_window_ms: int = -1
    """Start of the newest window of events seen."""
    rolled_back: Latch | None = None
    paused: Latch | None = None
    verdict: Verdict = "hold"
    verdict_since_ms: int = 0
    signature: str = ""
    """Of the last decision; another one is emitted when it changes."""
    record_ms: int = 0
    """When the newest record or command was written."""
    emitted_ms: int = 0
    """Event time as of the last decision that was emitted."""
    decided_ms: int = 0
    """Time of what was applied last: event time of windows, or when a record or command was
    written."""
    newest_window_end_ms: int = 0
    """End of the newest window of events seen."""
    created_ms: int = 0
    """When the rollout's first record was written."""
    sequence: int = 0
    """Number of the last decision that was emitted."""
    changed_sequence: int = 0
    """Number of the last decision that changed anything but numbers, or of the one that will show
    a stage that was entered after it."""
    last_command: int = 0
    """Number of the last command applied or rejected."""
    rejections: dict[int, str] = field(default_factory=dict)
    """Number of a recent command that was rejected to the reason."""

    @property
    def event_ms(self) -> int:
        """Event time; before the first window, the time of the record or of the last command."""
        return self.watermark_ms or self.record_ms

    @property
    def now_ms(self) -> int:
        """The time that a decision is dated by."""
        return self.decided_ms or self.event_ms


class StateHeader(msgspec.Struct):
    """What every release can read of a state."""

    version: int
    policy_hash: str
    status: RolloutStatus


class RolloutState(msgspec.Struct):
    """State of one rollout under one policy."""

    policy_hash: str
    version: int = STATE_VERSION
    status: RolloutStatus = field(default_factory=RolloutStatus)
    stage: StageCounts = field(default_factory=StageCounts)
    arrivals: Arrivals = field(default_factory=Arrivals)
    tail_thresholds: TailThresholds = field(default_factory=dict)
    partitions: dict[Source, dict[int, OpenRows]] = field(default_factory=dict)
    """By source and number."""
    evidence: dict[str, dict[str, EvidenceState]] = field(default_factory=dict)
    """By slice, by check."""

    @classmethod
    def begin(cls, rollout: Rollout, stage: int = 0) -> RolloutState:
        """Return the state before any window."""
        return cls(policy_hash(rollout), status=RolloutStatus(stage=stage))

    def find_evidence(self, slice_name: str, check_name: str) -> EvidenceState | None:
        """Return the evidence of a check in a slice; None before any unit."""
        return self.evidence.get(slice_name, {}).get(check_name)

    def tail_threshold(self, slice_name: str, measure: str) -> TailThreshold:
        """Return where stable's tail begins in a slice, as far as that was learnt."""
        return self.tail_thresholds.get(slice_name, {}).get(measure) or TailThreshold()

    def versions(self, source: Source) -> dict[int, int]:
        """Return the versions applied, by partition of a source, in their order."""
        return {n: rows.version for n, rows in sorted(self.partitions.get(source, {}).items())}


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(RolloutState)
_HEADER_DECODER: Final = msgspec.json.Decoder(StateHeader)


def encode_state(state: RolloutState) -> bytes:
    """Return the state as JSON."""
    return _ENCODER.encode(state)


def decode_state(rollout: Rollout, payload: bytes) -> RolloutState:
    """Return the state that `encode_state` wrote.

    Raises ValueError when another policy or another release wrote it: begin anew then.
    """
    header = decode_header(payload)
    if header.version != STATE_VERSION or header.policy_hash != policy_hash(rollout):
        raise ValueError("this state belongs to another policy or release")
    return _DECODER.decode(payload)


def decode_header(payload: bytes) -> StateHeader:
    """Return what every release can read of a state."""
    return _HEADER_DECODER.decode(payload)
