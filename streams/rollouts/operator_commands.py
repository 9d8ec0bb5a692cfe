"""What operators do to rollouts. The command line and the HTTP API both come here.

Every function blocks for as long as the registry takes, which is about half a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, CommandKind, RolloutRecord
from understudy.schemas.rollouts import PolicyError, compile_manifest, policy_hash
from understudy.streams.rollouts.policy_diff import PolicyDiff, PolicyFile, diff_policy
from understudy.streams.rollouts.registry import RolloutRegistry, UnknownRollout

MAX_REASON_CHARACTERS: Final = 1_024
MAX_BY_CHARACTERS: Final = 256
"""What the schema of a rollout record accepts of each."""


class InvalidCommandText(ValueError):
    """A command's reason or author that a record cannot hold; `name` says which of the two."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


class CommandRejected(RuntimeError):
    """A command that no worker could apply; the message says why."""


@dataclass(frozen=True, slots=True)
class IssuedCommand:
    """A command that was stored, and the decision before it where that matters."""

    command: Command
    before: Decision | None


def apply_policy(registry: RolloutRegistry, file: PolicyFile, *, dry_run: bool) -> PolicyDiff:
    """Put a policy in force; return what that changes, or would change in a dry run."""
    diff = diff_policy(registry.find(file.rollout.rollout_id), file)
    if not dry_run and diff.effect != "unchanged":
        registry.apply(file.manifest)
    return diff


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


def check_command(registry: RolloutRegistry, rollout_id: str, kind: CommandKind) -> Decision | None:
    """Return the decision before a promotion; None for other commands.

    Raises `UnknownRollout`, and `CommandRejected` when no worker could apply the command.
    """
    record = registry.find(rollout_id)
    if record is None:
        raise UnknownRollout(rollout_id, registry.rollouts())
    if kind != "promote":
        return None
    before = registry.decisions().get(rollout_id)
    _check_next_stage(record, before)
    return before


def issue_command(
    registry: RolloutRegistry, rollout_id: str, kind: CommandKind, *, reason: str, by: str
) -> IssuedCommand:
    """Store a command. Raises as `check_command` and `check_command_text`.

    A kill is stored as fast as possible: only a promotion reads decisions first.
    """
    check_command_text(kind, reason=reason, by=by)
    before = check_command(registry, rollout_id, kind) if kind == "promote" else None
    record = registry.add_command(rollout_id, kind, reason=reason, by=by)
    return IssuedCommand(record.commands[-1], before)


def _check_next_stage(record: RolloutRecord, now: Decision | None) -> None:
    """Raise `CommandRejected` for a rollout at the last stage of its policy."""
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
