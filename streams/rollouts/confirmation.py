"""Whether a decision says that a command was applied, or why it was rejected."""

from __future__ import annotations

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import Command


def is_answered(command: Command, now: Decision | None) -> bool:
    """Whether a worker has applied or rejected a command."""
    return now is not None and now.last_command >= command.number


def rejection_of(command: Command, now: Decision | None) -> str:
    """Return why a command was rejected; empty for one that was not."""
    return now.rejections.get(command.number, "") if now is not None else ""
