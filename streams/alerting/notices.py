"""A decision as read from its topic, and what is remembered of it afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from understudy.schemas.decisions import Decision
from understudy.streams.alerting.alarms import Alarm, alarms_of


@dataclass(frozen=True, slots=True)
class Notice:
    """A decision and where it stood; `decision` is None when the topic forgets the rollout."""

    partition: int
    offset: int
    rollout_id: str
    payload: bytes
    """As it came; empty without a decision."""
    decision: Decision | None

    @property
    def digest(self) -> str:
        """Names the decision: equal bytes, equal digest."""
        return hashlib.sha256(self.rollout_id.encode() + b"\0" + self.payload).hexdigest()


@dataclass(frozen=True, slots=True)
class Standing:
    """What a receiver was last told of a rollout: little, since the topic keeps all rollouts."""

    rollout_id: str
    partition: int
    digest: str
    signature: tuple[object, ...]
    """What a change of is worth a message to people."""
    alarms: tuple[Alarm, ...]


def standing_of(notice: Notice) -> Standing:
    """What to remember of a notice."""
    decision = notice.decision
    return Standing(
        rollout_id=notice.rollout_id,
        partition=notice.partition,
        digest=notice.digest,
        signature=() if decision is None else signature_of(decision),
        alarms=() if decision is None else alarms_of(decision),
    )


def signature_of(decision: Decision) -> tuple[object, ...]:
    """Verdict, stage and what is alarming; not the numbers, which change all the time."""
    alarming = sorted({(alarm.name, alarm.guardrail) for alarm in alarms_of(decision)})
    return (decision.verdict, decision.is_latched, decision.stage.index, tuple(alarming))
