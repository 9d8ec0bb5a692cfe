"""How the evidence of one guardrail in one slice grew, from the stored decisions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Self

import msgspec
import structlog

from understudy.schemas.decisions import Decision, Evidence, Thresholds
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.read_connection import ReadConnection

log = structlog.get_logger(__name__)

MAX_POINTS: Final = 240
"""A point every six minutes of a day; a chart on a screen shows no more."""
DAY: Final = dt.timedelta(days=1)
_SQL: Final = """
WITH wanted AS (
    SELECT sequence
    FROM (
        SELECT sequence, row_number() OVER (ORDER BY sequence) AS number, count() OVER () AS total
        FROM decisions FINAL
        WHERE rollout_id = {rollout_id:String} AND decided_at > {since:DateTime64(3, 'UTC')}
          AND rollout_created_at = {created_at:DateTime64(3, 'UTC')}
    )
    WHERE (total - number) % intDiv(total + {most:UInt32} - 1, {most:UInt32}) = 0
)
SELECT
    sequence,
    toUnixTimestamp64Milli(decided_at),
    arrayFirst(
        one -> JSONExtractString(one, 'guardrail') = {guardrail:String}
            AND JSONExtractString(one, 'slice') = {slice:String},
        JSONExtractArrayRaw(decision, 'evidence')
    ),
    JSONExtractRaw(decision, 'thresholds')
FROM decisions FINAL
WHERE rollout_id = {rollout_id:String} AND decided_at > {since:DateTime64(3, 'UTC')}
  AND rollout_created_at = {created_at:DateTime64(3, 'UTC')}
  AND sequence IN (SELECT sequence FROM wanted)
ORDER BY sequence
"""


class PastEvidence(msgspec.Struct, frozen=True):
    """What a chart draws of `Evidence`, and means there. The rest of it is not kept."""

    harm: float | None
    interval: tuple[float | None, float | None]
    harm_margin: float
    weight: float
    log_rollback: float | None
    log_promotion: float


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """Evidence as it stood at one decision."""

    sequence: int
    """Of the decision."""
    at_ms: int
    evidence: PastEvidence
    thresholds: Thresholds

    @classmethod
    def of(cls, decision: Decision, one: Evidence) -> Self:
        """The point of a decision that is at hand."""
        past = msgspec.convert(one, PastEvidence, from_attributes=True)
        return cls(decision.sequence, to_epoch_ms(decision.decided_at), past, decision.thresholds)


def read_evidence(
    connection: ReadConnection, rollout_id: str, guardrail: str, slice_: str, *,
    created_at: dt.datetime, since: dt.datetime, most: int = MAX_POINTS,
) -> list[EvidencePoint]:  # fmt: skip
    """Return at most so many points of time, evenly spread over the decisions since then, in order.

    The newest decision is always among them. Those that another release wrote and this one cannot
    read are logged and left out. Raises `SinkBusy` and `SinkBroken`.
    """
    parameters = {
        "rollout_id": rollout_id,
        "guardrail": guardrail,
        "slice": slice_,
        "created_at": created_at.astimezone(dt.UTC),
        "since": since.astimezone(dt.UTC),
        "most": most,
    }
    rows = [row for row in connection.rows(_SQL, parameters) if row[2]]
    points = [point for row in rows if (point := _point(*row)) is not None]
    if len(points) < len(rows):
        log.warning(
            "clickhouse.decisions_unreadable", rollout_id=rollout_id, count=len(rows) - len(points)
        )
    return points


def read_course(
    connection: ReadConnection, decision: Decision, one: Evidence, since: dt.datetime
) -> list[EvidencePoint]:
    """Return how a piece of a decision's evidence grew since then. Raises as `read_evidence`."""
    return read_evidence(
        connection, decision.rollout_id, one.guardrail, one.slice,
        created_at=decision.rollout_created_at or decision.decided_at, since=since,
    )  # fmt: skip


def _point(sequence: int, at_ms: int, evidence: str, thresholds: str) -> EvidencePoint | None:
    """Return a point, or None for JSON of another release's decision."""
    try:
        return EvidencePoint(
            sequence=int(sequence),
            at_ms=int(at_ms),
            evidence=msgspec.json.decode(evidence, type=PastEvidence),
            thresholds=msgspec.json.decode(thresholds, type=Thresholds),
        )
    except msgspec.MsgspecError:
        return None
