"""What the compacted topic `understudy.rollouts` holds: a policy and the commands of operators.

Key `rollout_id`; a message without a value deletes the rollout. Compaction keeps the last record
alone, so the record carries its newest commands. Their numbers only grow, and a deciding worker
remembers the last number it applied: a record that is read twice changes nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.rollouts import RolloutManifest

ROLLOUTS_SCHEMA_VERSION: Final = 1
MAX_COMMANDS: Final = 32
"""Older ones are dropped: workers apply commands in seconds, 32 are more than hours hold."""

CommandKind = Literal["kill", "resume", "promote"]


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command of an operator."""

    number: Annotated[int, Meta(ge=1, description="Counts the commands of a rollout.")]
    kind: CommandKind
    reason: Annotated[str, Meta(max_length=1024)] = ""
    by: Annotated[str, Meta(max_length=256, description="Who issued it.")] = ""
    at: Annotated[dt.datetime, Meta(tz=True)]
    expects: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Sequence of the decision that the operator saw: rejected if another has "
            "changed something since. Null: applied in any case.",
        ),
    ] = None


class RolloutRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rollout's policy and its newest commands."""

    schema_version: int = ROLLOUTS_SCHEMA_VERSION
    manifest: RolloutManifest
    commands: Annotated[tuple[Command, ...], Meta(description="The newest last.")] = ()
    capture_since: Annotated[
        Annotated[dt.datetime, Meta(tz=True)] | None,
        Meta(description="When the policy's `capture` became what it is; null: from the start."),
    ] = None

    @property
    def last_number(self) -> int:
        """The number of the newest command; 0 without any."""
        return self.commands[-1].number if self.commands else 0

    def with_manifest(self, manifest: RolloutManifest, at: dt.datetime) -> RolloutRecord:
        """Return the record with another policy, written at a time."""
        is_same = manifest.capture == self.manifest.capture
        since = self.capture_since if is_same else _capture_since(manifest, at)
        return msgspec.structs.replace(self, manifest=manifest, capture_since=since)

    def with_command(
        self,
        kind: CommandKind,
        at: dt.datetime,
        *,
        reason: str,
        by: str,
        expects: int | None = None,
    ) -> RolloutRecord:
        """Return the record with one more command."""
        command = Command(
            number=self.last_number + 1, kind=kind, reason=reason, by=by, at=at, expects=expects
        )
        return msgspec.structs.replace(self, commands=(*self.commands, command)[-MAX_COMMANDS:])

    def commands_after(self, number: int) -> tuple[Command, ...]:
        """Return the commands with a higher number."""
        return tuple(command for command in self.commands if command.number > number)


def new_rollout_record(manifest: RolloutManifest, at: dt.datetime) -> RolloutRecord:
    """Return the record of a rollout that is applied for the first time."""
    return RolloutRecord(manifest=manifest, capture_since=_capture_since(manifest, at))


def _capture_since(manifest: RolloutManifest, at: dt.datetime) -> dt.datetime | None:
    return None if manifest.capture == "none" else at


def encode_rollout_record(record: RolloutRecord) -> bytes:
    """Encode a record for its topic."""
    return msgspec.json.encode(record)


def decode_rollout_record(payload: bytes) -> RolloutRecord:
    """Decode a record. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(payload, type=RolloutRecord)
