"""What operators do to rollouts. The command line and the HTTP API both come here.

Every function blocks for as long as the registry takes, which is about half a second.
"""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, CommandKind, RolloutRecord
from understudy.schemas.rollouts import PolicyError, compile_manifest, policy_hash
from understudy.streams.rollouts.audit import Actor
from understudy.streams.rollouts.policy_diff import PolicyDiff, PolicyFile, diff_policy
from understudy.streams.rollouts.registry import (
    Expected,
    RecordChanged,
    RolloutRegistry,
    expect_anything,
)

MAX_REASON_CHARACTERS: Final = 1_024
MAX_BY_CHARACTERS: Final = 256
"""What the schema of a rollout record accepts of each."""


class InvalidCommandText(ValueError):
    """A command's reason or author that a record cannot hold; `name` says which of the two."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


def apply_policy(
    registry: RolloutRegistry,
    file: PolicyFile,
    *,
    dry_run: bool,
    actor: Actor,
    is_expected: Expected = expect_anything,
) -> PolicyDiff:
    """Put a policy in force; return what that changes, or would change in a dry run.

    Raises `RecordChanged` when it would replace another record than expected.
    """
    if dry_run:
        found = registry.find(file.rollout.rollout_id)
        if not is_expected(found):
            raise RecordChanged(file.rollout.rollout_id)
        return diff_policy(found, file)
    replaced: list[RolloutRecord | None] = []
    registry.apply(file.manifest, is_expected, replaced.append)
    diff = diff_policy(replaced[-1], file)
    if diff.effect != "unchanged":
        applied = actor.record(
            diff.rollout_id, "apply", effect=diff.effect, policy_hash=policy_hash(file.rollout)
        )
        registry.audit.write(applied)
    return diff


def delete_rollout(
    registry: RolloutRegistry,
    rollout_id: str,
    *,
    actor: Actor,
    is_expected: Expected = expect_anything,
) -> None:
    """Delete a rollout, readable or not. Raises `UnknownRollout` and `RecordChanged`."""
    registry.delete(rollout_id, is_expected)
    registry.audit.write(actor.record(rollout_id, "delete"))


def check_command_text(kind: CommandKind, *, reason: str, by: str) -> None:
    """Raise `InvalidCommandText` for a kill without a reason, or a text that is too long."""
    if kind == "kill" and not reason.strip():
        raise InvalidCommandText("reason", "must say why; it is shown with the rollback")
    for name, text, limit in (
        ("reason", reason, MAX_REASON_CHARACTERS),
        ("by", by, MAX_BY_CHARACTERS),
    ):
        if len(text) > limit:
            raise InvalidCommandText(name, f"is longer than {limit:,} characters")


def check_command(registry: RolloutRegistry, rollout_id: str, kind: CommandKind) -> None:
    """Raise `UnknownRollout`, and `CommandRejected` for a promotion that a worker would reject."""
    record = registry.require(rollout_id)
    if kind == "promote":
        _check_promotion(record, registry.decisions().get(rollout_id))


def issue_command(
    registry: RolloutRegistry,
    rollout_id: str,
    kind: CommandKind,
    *,
    reason: str,
    actor: Actor,
    expects: int | None = None,
) -> Command:
    """Store a command. Raises as `check_command` and `check_command_text`.

    A worker rejects it when something has changed since the decision with the sequence `expects`.
    A kill is stored as fast as possible: only a promotion reads decisions first.
    """
    check_command_text(kind, reason=reason, by=actor.by)
    if kind == "promote":
        check_command(registry, rollout_id, kind)
    record = registry.add_command(rollout_id, kind, reason=reason, by=actor.by, expects=expects)
    command = record.commands[-1]
    issued = actor.record(rollout_id, kind, reason=reason, command_number=command.number)
    registry.audit.write(issued)
    return command


def _check_promotion(record: RolloutRecord, now: Decision | None) -> None:
    """Say at once what a worker would say later: it may still find another state."""
    if now is not None and now.is_latched:
        raise CommandRejected(f"{now.rollout_id} is rolled back; resume it first")
    if now is not None and now.is_paused:
        raise CommandRejected(f"{now.rollout_id} is paused; resume it first")
    try:
        rollout = compile_manifest(record.manifest)
    except PolicyError:
        return  # this release cannot use the policy; the worker that decides may be a newer one
    is_current = now is not None and now.policy_hash == policy_hash(rollout)
    index = now.stage.index if now is not None and is_current else 0
    if index + 1 >= len(rollout.stages):
        raise CommandRejected(
            f"{rollout.rollout_id} is at its last stage, {rollout.stages[-1].name}"
        )
