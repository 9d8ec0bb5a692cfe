"""All that deciding keeps of a rollout: small, and made of what JSON can hold.

`to_builtins` has three parts, so that a table can keep them under keys of their own: `head` (a few
hundred bytes), `partitions` (open rows) and `slices` (evidence).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.evidence import EvidenceState
from understudy.analyzers.guardrails.slices import Arrivals
from understudy.analyzers.guardrails.stage_progress import StageCounts
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.guardrails.window_deltas import Partition
from understudy.schemas.rollouts import Rollout, policy_hash
from understudy.schemas.windows import Source

STATE_VERSION: Final = 4


@dataclass(slots=True)
class Latch:
    """A verdict that stays: why and since when, epoch milliseconds."""

    since_ms: int
    reasons: list[str]


@dataclass(slots=True)
class Standing:
    """Where the rollout stands."""

    stage: int = 0
    watermark_ms: int = 0
    newest_ms: int = -1
    """Start of the newest window of events seen."""
    rolled_back: Latch | None = None
    paused: Latch | None = None
    verdict: str = "hold"
    verdict_since_ms: int = 0
    signature: str = ""
    """Of the decision told last; another one is told when this changes."""
    told_ms: int = 0
    """When the newest of record and commands was written."""
    shown_ms: int = 0
    """As of when a decision was told last."""

    @property
    def now_ms(self) -> int:
        """Event time; until a window has told it, that of the record or of the last command."""
        return self.watermark_ms or self.told_ms


@dataclass(slots=True)
class RolloutState:
    """State of one rollout under one policy."""

    policy_hash: str
    references: TailThresholds
    standing: Standing = field(default_factory=Standing)
    stage: StageCounts = field(default_factory=StageCounts)
    arrivals: Arrivals = field(default_factory=Arrivals)
    partitions: dict[tuple[Source, int], Partition] = field(default_factory=dict)
    """By source and number."""
    slices: dict[str, dict[str, EvidenceState]] = field(default_factory=dict)
    """By slice, by check."""

    @classmethod
    def begin(cls, rollout: Rollout, stage: int = 0) -> RolloutState:
        """Nothing seen yet."""
        references = TailThresholds(_measures(checks_of(rollout)))
        return cls(policy_hash(rollout), references, Standing(stage=stage))

    def to_builtins(self) -> dict[str, Any]:
        """What `from_builtins` takes; integers, finite floats, text, lists and dicts only."""
        standing = [_plain(getattr(self.standing, name)) for name in self.standing.__slots__]
        return {
            "head": {
                "version": STATE_VERSION,
                "policy_hash": self.policy_hash,
                "standing": standing,
                "stage": self.stage.to_builtins(),
                "arrivals": [list(self.arrivals.languages), list(self.arrivals.workflows)],
            },
            "partitions": [
                [source, number, partition.to_builtins()]
                for (source, number), partition in self.partitions.items()
            ],
            "slices": {
                "references": self.references.to_builtins(),
                "evidence": {
                    name: {check: weighing.to_builtins() for check, weighing in of_slice.items()}
                    for name, of_slice in self.slices.items()
                },
            },
        }

    def versions(self, source: Source) -> dict[int, int]:
        """Versions folded, by partition of a source, in their order."""
        found = {number: p.version for (of, number), p in self.partitions.items() if of == source}
        return dict(sorted(found.items()))

    @classmethod
    def from_builtins(cls, rollout: Rollout, kept: dict[str, Any]) -> RolloutState:
        """The state that `to_builtins` wrote.

        Raises ValueError when another policy or another release wrote it: begin anew then.
        """
        head = kept["head"]
        if head["version"] != STATE_VERSION or head["policy_hash"] != policy_hash(rollout):
            raise ValueError("this state belongs to another policy or release")
        standing = Standing(*head["standing"])
        for name in ("rolled_back", "paused"):
            latch = getattr(standing, name)
            setattr(standing, name, None if latch is None else Latch(*latch))
        slices = kept["slices"]
        measures = _measures(checks_of(rollout))
        return cls(
            head["policy_hash"],
            TailThresholds.from_builtins(measures, slices["references"]),
            standing,
            StageCounts.from_builtins(head["stage"]),
            Arrivals(*map(list, head["arrivals"])),
            {
                (source, number): Partition.from_builtins(partition)
                for source, number, partition in kept["partitions"]
            },
            {
                name: {check: EvidenceState.from_builtins(one) for check, one in of_slice.items()}
                for name, of_slice in slices["evidence"].items()
            },
        )


def _plain(value: Any) -> Any:
    return [value.since_ms, list(value.reasons)] if isinstance(value, Latch) else value


def _measures(checks: tuple[Check, ...]) -> frozenset[str]:
    return frozenset(check.metric.measure for check in checks if check.is_tail)
