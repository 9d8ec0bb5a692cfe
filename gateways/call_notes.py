"""What a call of one's own tells the Router beside its answer.

A function that retries, falls back to another model or answers from a cache knows it, and its
answer often does not say so. It calls `note` before it returns:

    async def ask(prompt: str) -> str:
        if (known := cache.get(prompt)) is not None:
            note(cache_hit=True)
            return known
        …
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

import msgspec

from understudy.schemas.events import Fallback


class CallNotes(msgspec.Struct):
    """What has been noted in one call."""

    attempts: int | None = None
    fallback_model: str | None = None
    fallback_reason: str | None = None
    cache_hit: bool | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None

    def fallback(self) -> Fallback | None:
        """Return what the notes say of attempts and fallbacks; None where they say nothing."""
        if self.attempts is None and self.fallback_model is None:
            return None
        return Fallback(
            used=self.fallback_model is not None,
            model=self.fallback_model,
            reason=self.fallback_reason,
            attempts=self.attempts,
        )


NOTES: Final[ContextVar[CallNotes | None]] = ContextVar("understudy_call_notes", default=None)
"""Of the call that runs; the Router sets it."""


def note(
    *,
    attempts: int | None = None,
    fallback_model: str | None = None,
    fallback_reason: str | None = None,
    cache_hit: bool | None = None,
    cost_usd: float | None = None,
    finish_reason: str | None = None,
) -> None:
    """Tell the Router about the call that runs; without a Router this does nothing.

    `attempts` counts all of them, the successful one included; `fallback_model` is the model that
    answered instead.
    """
    notes = NOTES.get()
    if notes is None:
        return
    given = {
        "attempts": attempts, "fallback_model": fallback_model, "cache_hit": cache_hit,
        "fallback_reason": fallback_reason, "cost_usd": cost_usd, "finish_reason": finish_reason,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None:
            setattr(notes, name, value)
