"""How the evidence of one guardrail in one slice grew, from the stored decisions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import msgspec

from understudy.schemas.decisions import Evidence, Thresholds
from understudy.streams.clickhouse.read_connection import ReadConnection

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
    WHERE number % greatest(1, intDiv(total, {most:UInt32})) = 0 OR number = total
)
SELECT
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


@dataclass(frozen=True, slots=True)
class EvidencePoint:
    """Evidence as it stood at one decision."""

    at_ms: int
    evidence: Evidence
    thresholds: Thresholds


def read_evidence(
    connection: ReadConnection, rollout_id: str, guardrail: str, slice_: str, *,
    created_at: dt.datetime, since: dt.datetime, most: int = MAX_POINTS,
) -> list[EvidencePoint]:  # fmt: skip
    """Return about so many points of time, evenly spread over the decisions since then, in order.

    Raises `SinkBusy` and `SinkBroken`.
    """
    parameters = {
        "rollout_id": rollout_id,
        "guardrail": guardrail,
        "slice": slice_,
        "created_at": created_at.astimezone(dt.UTC),
        "since": since.astimezone(dt.UTC),
        "most": most,
    }
    return [
        EvidencePoint(
            at_ms=int(at_ms),
            evidence=msgspec.json.decode(evidence, type=Evidence),
            thresholds=msgspec.json.decode(thresholds, type=Thresholds),
        )
        for at_ms, evidence, thresholds in connection.rows(_SQL, parameters)
        if evidence
    ]
