"""Decisions as rows of the ClickHouse table `decisions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from understudy.schemas.decisions import Cause, Decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.tables import DECISIONS, TABLES, block

NULL: Final = -1
"""What stands for no number in a column that may be NULL."""


def decision_block(decisions: Sequence[tuple[Decision, bytes]]) -> Block:
    """Decisions, each with its bytes from the topic, as a block to insert."""
    rows = [row_of(decision, payload) for decision, payload in decisions]
    return block(DECISIONS, {name: [row[name] for row in rows] for name in TABLES[DECISIONS]})


def row_of(decision: Decision, payload: bytes) -> dict[str, object]:
    """One row by column."""
    created_at = decision.rollout_created_at
    return {
        "rollout_id": decision.rollout_id,
        "rollout_created_at": to_epoch_ms(created_at) if created_at else 0,
        "sequence": decision.sequence,
        "decided_at": to_epoch_ms(decision.decided_at),
        **_cause(decision.cause),
        **_command(decision),
        "is_refresh": decision.is_refresh,
        "verdict": decision.verdict,
        "since": to_epoch_ms(decision.since),
        "stage": decision.stage.stage.name,
        "candidate_share": decision.candidate_share,
        "is_latched": decision.is_latched,
        "is_paused": decision.is_paused,
        "reasons": decision.reasons,
        "alerts": [alert.sentence for alert in decision.alerts],
        "policy_hash": decision.policy_hash,
        "partitions": _versions(decision.partitions),
        "feedback_partitions": _versions(decision.feedback_partitions),
        "evaluation_partitions": _versions(decision.evaluation_partitions),
        "decision": payload.decode(),
    }


def _cause(cause: Cause | None) -> dict[str, object]:
    return {
        "cause": cause.topic if cause else "",
        "cause_partition": cause.partition if cause else NULL,
        "cause_offset": cause.offset if cause else NULL,
    }


def _command(decision: Decision) -> dict[str, object]:
    command = decision.command
    return {
        "command": command.kind if command else "",
        "command_number": command.number if command else NULL,
        "command_by": command.by if command else "",
        "command_reason": command.reason if command else "",
        "command_rejection": decision.rejections.get(command.number, "") if command else "",
    }


def _versions(partitions: Mapping[int, int]) -> dict[int, int]:
    return {number: max(0, version) for number, version in partitions.items()}
