"""What operators do to rollouts, by whatever way: the command and the HTTP API come here.

What blocks, blocks for as long as the store takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command, CommandKind
from understudy.streams.rollouts.command_results import cannot_be_done
from understudy.streams.rollouts.policy_diff import Outcome, PolicyFile, outcome
from understudy.streams.rollouts.registry import RolloutStore, UnknownRollout

MAX_REASON: Final = 1_024
MAX_BY: Final = 256
"""What a record takes of each."""


class InvalidCommandText(ValueError):
    """Words that a record would refuse; `name` says which."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


class CommandRejected(RuntimeError):
    """Nobody could obey; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that was written, and the decision that stood before it where that matters."""

    command: Command
    before: Decision | None


def apply_policy(store: RolloutStore, file: PolicyFile, *, dry_run: bool) -> Outcome:
    """Put a policy in force; what that does, or would do."""
    result = outcome(store.find(file.rollout.rollout_id), file)
    if not dry_run and result.effect != "unchanged":
        store.apply(file.manifest)
    return result


def check_words(kind: CommandKind, *, reason: str, by: str) -> None:
    """Raises `InvalidCommandText`."""
    if kind == "kill" and not reason.strip():
        raise InvalidCommandText("reason", "must say why; it is shown wherever the rollback is")
    for name, text, most in (("reason", reason, MAX_REASON), ("by", by, MAX_BY)):
        if len(text) > most:
            raise InvalidCommandText(name, f"is longer than {most:,} characters")


def check_ask(store: RolloutStore, rollout_id: str, kind: CommandKind) -> Decision | None:
    """The decision before the command, where it matters.

    Raises `UnknownRollout`, and `CommandRejected` when nobody could obey.
    """
    record = store.find(rollout_id)
    if record is None:
        raise UnknownRollout(rollout_id, store.rollouts())
    if kind != "promote":
        return None
    before = store.decisions().get(rollout_id)
    why_not = cannot_be_done(record, kind, before)
    if why_not:
        raise CommandRejected(why_not)
    return before


def ask(store: RolloutStore, rollout_id: str, kind: CommandKind, *, reason: str, by: str) -> Asked:
    """Write a command. Raises as `check_ask` and `check_words`.

    A kill is written as fast as can be: only a promotion looks at what was decided first.
    """
    check_words(kind, reason=reason, by=by)
    before = check_ask(store, rollout_id, kind) if kind == "promote" else None
    record = store.tell(rollout_id, kind, reason=reason, by=by)
    return Asked(record.commands[-1], before)
