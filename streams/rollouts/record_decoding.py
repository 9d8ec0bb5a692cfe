"""Decodes messages of the two compacted topics, and checks them against their keys."""

from __future__ import annotations

import msgspec

from understudy.schemas.decisions import DECISIONS_SCHEMA_VERSION, Decision, decode_decision
from understudy.schemas.rollout_records import (
    MAX_COMMANDS,
    ROLLOUTS_SCHEMA_VERSION,
    RolloutRecord,
    decode_rollout_record,
)


def read_record(key: str, value: bytes) -> RolloutRecord:
    """Decode the record of a rollout.

    Raises `ValueError` when this release cannot read it, or when it is another rollout's.
    """
    _check_version(value, ROLLOUTS_SCHEMA_VERSION)
    record = decode_rollout_record(value)
    if record.manifest.rollout_id != key:
        raise ValueError(f"its policy is for {record.manifest.rollout_id}")
    return record


def read_decision(key: str, value: bytes) -> Decision:
    """Decode a decision about a rollout. Raises `ValueError` as `read_record` does."""
    _check_version(value, DECISIONS_SCHEMA_VERSION)
    decision = decode_decision(value)
    if decision.rollout_id != key:
        raise ValueError(f"it is about {decision.rollout_id}")
    return decision


def merge_commands(before: RolloutRecord | None, record: RolloutRecord) -> RolloutRecord:
    """Return a record with the commands that were applied, those of the record before among them.

    Of two commands with one number the first was applied: workers skip a number they have seen.
    """
    if before is None:
        return record
    commands = before.commands + record.commands_after(before.last_number)
    return msgspec.structs.replace(record, commands=commands[-MAX_COMMANDS:])


class _Versioned(msgspec.Struct):
    schema_version: int = 1


def _check_version(value: bytes, known: int) -> None:
    """Raise `ValueError` for a newer schema: the same fields may mean something else there."""
    try:
        version = msgspec.json.decode(value, type=_Versioned).schema_version
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if version > known:
        raise ValueError(f"schema version {version}; this release knows {known}")
