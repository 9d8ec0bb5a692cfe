"""Messages of the two compacted topics as records and decisions, held against their keys."""

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
    """Raises `ValueError` for one that this release cannot read or that is of another rollout."""
    _check_version(value, ROLLOUTS_SCHEMA_VERSION)
    record = decode_rollout_record(value)
    if record.manifest.rollout_id != key:
        raise ValueError(f"its policy is for {record.manifest.rollout_id}")
    return record


def read_decision(key: str, value: bytes) -> Decision:
    """Raises `ValueError` for one that this release cannot read or that is of another rollout."""
    _check_version(value, DECISIONS_SCHEMA_VERSION)
    decision = decode_decision(value)
    if decision.rollout_id != key:
        raise ValueError(f"it is about {decision.rollout_id}")
    return decision


def gather(before: RolloutRecord | None, record: RolloutRecord) -> RolloutRecord:
    """A record with the commands that were obeyed: of two with one number the first counts."""
    if before is None:
        return record
    commands = before.commands + record.commands_after(before.last_number)
    return msgspec.structs.replace(record, commands=commands[-MAX_COMMANDS:])


class _Versioned(msgspec.Struct):
    schema_version: int = 1


def _check_version(value: bytes, known: int) -> None:
    """A newer release may mean something else by the same words."""
    try:
        version = msgspec.json.decode(value, type=_Versioned).schema_version
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if version > known:
        raise ValueError(f"schema version {version}; this release knows {known}")
