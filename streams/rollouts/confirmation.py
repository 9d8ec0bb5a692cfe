"""Whether a decision confirms that a command was applied."""

from __future__ import annotations

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import CommandKind


def is_confirmed(kind: CommandKind, before: Decision | None, now: Decision | None) -> bool:
    """Whether the decision of now follows from a command; `before` is the one when it was issued.

    Decisions do not carry the numbers of commands, so it is the effect that counts.
    """
    if now is None:
        return False
    if kind == "kill":
        return now.is_latched
    if kind == "resume":
        return not now.is_latched and not now.is_paused
    return now.stage.index > (before.stage.index if before else 0)
