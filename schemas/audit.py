"""What the topic `understudy.audit` holds: who changed which rollout, when, and from where.

Key `rollout_id`. Nothing deletes these records: they outlive their rollouts.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

AUDIT_SCHEMA_VERSION: Final = 1

Action = Literal["apply", "delete", "kill", "resume", "promote"]
Via = Literal["http", "command line"]


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a rollout, or one command that was issued."""

    schema_version: int = AUDIT_SCHEMA_VERSION
    at: Annotated[dt.datetime, Meta(tz=True, description="By the clock of who wrote it.")]
    rollout_id: str
    action: Action
    by: Annotated[str, Meta(description="The token's name, or what the command line was given.")]
    via: Via
    address: Annotated[
        str, Meta(description="Of the client, or user@host where the command line ran.")
    ]
    forwarded_for: Annotated[
        str, Meta(description="The header X-Forwarded-For, as proxies in front claim.")
    ] = ""
    reason: str = ""
    effect: Annotated[
        str, Meta(description="Of a policy: created, reworded or changed. Else empty.")
    ] = ""
    policy_hash: Annotated[str, Meta(description="Of the policy applied; else empty.")] = ""
    command_number: Annotated[
        int | None, Meta(description="Of a command; decisions say what became of it.")
    ] = None


def encode_audit_record(record: AuditRecord) -> bytes:
    """Encode a record for its topic."""
    return msgspec.json.encode(record)


def decode_audit_record(payload: bytes) -> AuditRecord:
    """Decode a record. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(payload, type=AuditRecord)
