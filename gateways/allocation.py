"""What a decision gives to the candidate, and whether it is still in force. Pure.

Of a decision only the fields below are read: a deciding worker of a newer release, whose evidence
has other fields, can still stop a gateway.

No decision refreshes itself. It is refreshed once a minute while windows of the rollout come, so an
old one means that deciding stands still, or that there was no traffic. A gateway cannot tell which:
`in_force` gives the candidate nothing then, but for probes, without which nothing would ever
refresh the decision of a rollout whose requests make events only when both models run.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from understudy.schemas.decisions import Decision, Verdict
from understudy.schemas.events import EARLIEST_TIME, PAIRED_MODES, Mode

MAX_DECISION_AGE_S: Final = 300.0
"""Five refreshes missed: longer than a worker's restart with all that it has to read again."""
MIN_DECISION_AGE_S: Final = 90.0
"""A decision is refreshed once a minute of event time, and windows come seconds after events."""
PROBE_EVERY_S: Final = 10.0
"""One request in each window of the default length makes a row, and a row makes a refresh."""
FULL_SHARE: Final = 1.0


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest decision about a rollout gives to the candidate."""

    rollout_id: str
    mode: Mode
    """Of the stage."""
    candidate_share: float
    """Of requests: those that the candidate serves; 0 in `shadow` and after a rollback."""
    mirror_share: float
    """Of the other requests: those that the candidate answers as well, without being served."""
    verdict: Verdict
    stage: str
    decided_at: dt.datetime
    """Event time."""
    written_at: dt.datetime
    """When the decision was written to Kafka, by Kafka's or the writer's clock."""
    is_stale: bool = False
    """The decision is older than it may be; the shares are those of `in_force`."""
    probe_every_s: float | None = None
    """Mirror one request in so many seconds, as `shadow`, whatever `mirror_share` says."""

    def age_s(self, now: dt.datetime) -> float:
        """Return how old the decision is; 0 where its writer's clock is ahead of ours."""
        return max(0.0, (now - self.written_at).total_seconds())


class _Stage(msgspec.Struct, frozen=True):
    name: str
    mode: Mode
    mirror: float = 0.0


class _Progress(msgspec.Struct, frozen=True):
    stage: _Stage


class _Decision(msgspec.Struct, frozen=True):
    """The fields of a decision that a gateway obeys."""

    rollout_id: str
    verdict: Verdict
    candidate_share: float
    decided_at: dt.datetime
    stage: _Progress
    is_latched: bool = False


_decode: Final = msgspec.json.Decoder(_Decision).decode


def decode_allocation(payload: bytes, written_at: dt.datetime) -> Allocation:
    """Return what a decision, as in its topic, allocates. Raises `msgspec.MsgspecError`."""
    return _allocation(_decode(payload), written_at)


def allocation_of(decision: Decision, written_at: dt.datetime | None = None) -> Allocation:
    """Return what a decision allocates; without `written_at` it counts as written when decided."""
    part = msgspec.convert(decision, _Decision, from_attributes=True)
    return _allocation(part, written_at or decision.decided_at)


def _allocation(decision: _Decision, written_at: dt.datetime) -> Allocation:
    stage = decision.stage.stage
    is_stopped = decision.verdict == "rollback" or decision.is_latched
    mirror_share = FULL_SHARE if stage.mode in PAIRED_MODES else stage.mirror
    return Allocation(
        rollout_id=decision.rollout_id,
        mode=stage.mode,
        candidate_share=0.0 if is_stopped else decision.candidate_share,
        mirror_share=0.0 if is_stopped else mirror_share,
        verdict=decision.verdict,
        stage=stage.name,
        decided_at=decision.decided_at,
        written_at=written_at,
    )


def in_force(
    allocation: Allocation | None, now: dt.datetime, max_age_s: float = MAX_DECISION_AGE_S
) -> Allocation | None:
    """Return what a gateway does now by the newest decision; None: serve stable alone.

    An allocation that is older than `max_age_s` gives the candidate nothing, except where it had
    all requests: there stable may not run any more. `is_stale` says so in both cases. Where only
    paired requests make events, `probe_every_s` asks for a few.
    """
    if allocation is None or allocation.age_s(now) <= max_age_s:
        return allocation
    if allocation.candidate_share >= FULL_SHARE:
        return msgspec.structs.replace(allocation, is_stale=True)
    is_probed = allocation.mode in PAIRED_MODES and allocation.mirror_share > 0.0
    return msgspec.structs.replace(
        allocation,
        candidate_share=0.0,
        mirror_share=0.0,
        is_stale=True,
        probe_every_s=PROBE_EVERY_S if is_probed else None,
    )


def distrusted(allocation: Allocation) -> Allocation:
    """Return an allocation as if it were very old: there is a newer one that cannot be read.

    The newer decision may be a rollback, so the candidate gets nothing, unless it had everything.
    """
    return msgspec.structs.replace(allocation, written_at=EARLIEST_TIME)
