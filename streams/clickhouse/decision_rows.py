"""Decisions as rows of the ClickHouse table `decisions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from understudy.schemas.decisions import Decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.tables import DECISIONS, TABLES, block


def decision_block(decisions: Sequence[tuple[Decision, bytes]]) -> Block:
    """Decisions, each with its bytes from the topic, as a block to insert."""
    rows = [row_of(decision, payload) for decision, payload in decisions]
    return block(DECISIONS, {name: [row[name] for row in rows] for name in TABLES[DECISIONS]})


def row_of(decision: Decision, payload: bytes) -> dict[str, object]:
    """One row by column."""
    return {
        "rollout_id": decision.rollout_id,
        "decided_at": to_epoch_ms(decision.decided_at),
        "is_refresh": decision.is_refresh,
        "verdict": decision.verdict,
        "since": to_epoch_ms(decision.since),
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
