"""Decisions as rows of the ClickHouse table `decisions`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from understudy.schemas.decisions import Decision
from understudy.streams.clickhouse.native_format import Block, encode_block

DECISIONS: Final = "decisions"
TYPES: Final[dict[str, str]] = {
    "rollout_id": "LowCardinality(String)",
    "decided_at": "DateTime64(3, 'UTC')",
    "is_refresh": "Bool",
    "verdict": "LowCardinality(String)",
    "since": "DateTime64(3, 'UTC')",
    "stage": "LowCardinality(String)",
    "candidate_share": "Float64",
    "is_latched": "Bool",
    "is_paused": "Bool",
    "reasons": "Array(String)",
    "alerts": "Array(String)",
    "policy_hash": "LowCardinality(String)",
    "partitions": "Map(Int32, UInt64)",
    "feedback_partitions": "Map(Int32, UInt64)",
    "decision": "String",
}
"""Types of the columns in the DDL; a test holds the two together."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


def decision_block(decisions: Sequence[tuple[Decision, bytes]]) -> Block:
    """Decisions, each with its bytes from the topic, as a block to insert."""
    rows = [row_of(decision, payload) for decision, payload in decisions]
    return encode_block(DECISIONS, TYPES, {name: [row[name] for row in rows] for name in TYPES})


def row_of(decision: Decision, payload: bytes) -> dict[str, object]:
    """One row by column."""
    return {
        "rollout_id": decision.rollout_id,
        "decided_at": _ms(decision.decided_at),
        "is_refresh": decision.is_refresh,
        "verdict": decision.verdict,
        "since": _ms(decision.since),
        "stage": decision.stage.stage.name,
        "candidate_share": decision.candidate_share,
        "is_latched": decision.is_latched,
        "is_paused": decision.is_paused,
        "reasons": decision.reasons,
        "alerts": decision.alerts,
        "policy_hash": decision.policy_hash,
        "partitions": _versions(decision.partitions),
        "feedback_partitions": _versions(decision.feedback_partitions),
        "decision": payload.decode(),
    }


def _versions(partitions: Mapping[int, int]) -> dict[int, int]:
    return {number: max(0, version) for number, version in partitions.items()}


def _ms(time: dt.datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND
