"""A decision as read from its topic, and what is remembered of it once receivers are notified."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final, Self

from understudy.schemas.decisions import Decision, decode_decision
from understudy.streams.alerting.alarms import Alarm, alarms_of


@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """A decision and its place in the topic; `decision` is None for a tombstone."""

    partition: int
    offset: int
    rollout_id: str
    payload: bytes
    """The bytes in the topic; empty for a tombstone."""
    decision: Decision | None

    @property
    def digest(self) -> str:
        """Identifies the decision: equal bytes have equal digests."""
        return hashlib.sha256(self.rollout_id.encode() + b"\0" + self.payload).hexdigest()


_OVERHEAD_BYTES: Final = 1_000
"""Of a packed message in memory, besides its payload."""


@dataclass(frozen=True, slots=True)
class PackedMessage:
    """A message that waits, a tenth as large as its payload, which holds all the evidence."""

    partition: int
    offset: int
    rollout_id: str
    digest: str
    packed: bytes

    @classmethod
    def of(cls, message: DecisionMessage) -> Self:
        """Pack a message."""
        packed = zlib.compress(message.payload, level=1)
        return cls(message.partition, message.offset, message.rollout_id, message.digest, packed)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return len(self.packed) + _OVERHEAD_BYTES

    def message(self) -> DecisionMessage:
        """The message as it was."""
        payload = zlib.decompress(self.packed)
        decision = decode_decision(payload) if payload else None
        return DecisionMessage(self.partition, self.offset, self.rollout_id, payload, decision)


@dataclass(frozen=True, slots=True)
class NotifiedState:
    """What a receiver was last notified of about a rollout; small, as all rollouts have one."""

    rollout_id: str
    partition: int
    digest: str
    key: tuple[object, ...]
    """What must change before people are notified again."""
    alarms: tuple[Alarm, ...]


def notified_state_of(message: DecisionMessage) -> NotifiedState:
    """The state after a receiver was notified of a decision."""
    decision = message.decision
    return NotifiedState(
        rollout_id=message.rollout_id,
        partition=message.partition,
        digest=message.digest,
        key=() if decision is None else notification_key(decision),
        alarms=() if decision is None else alarms_of(decision),
    )


def notification_key(decision: Decision) -> tuple[object, ...]:
    """Verdict, stage and alarms; not the numbers, which change all the time."""
    alarms = sorted({(alarm.name, alarm.guardrail) for alarm in alarms_of(decision)})
    return (decision.verdict, decision.is_latched, decision.stage.index, tuple(alarms))
