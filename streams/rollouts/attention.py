"""All rollouts in the order in which they need an operator. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.formatting import format_duration, format_percent
from understudy.schemas.api import RolloutStatus

SILENT_AFTER: Final = dt.timedelta(minutes=10)
"""Windows come every few seconds while there is traffic, and close two minutes late at most."""


NOTHING: Final = "–"
"""What a rollout needs that needs nobody."""


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A rollout in the list: its status and what it needs."""

    status: RolloutStatus
    rank: int
    """Lower needs an operator sooner."""
    need: str
    """What an operator should do, or a dash."""
    is_unknown: bool = False
    """Whether nobody knows how it fares: no decision yet, an old one, or no windows any more."""

    @property
    def needs_operator(self) -> bool:
        """Whether an operator should do something."""
        return self.need != NOTHING

    @property
    def share(self) -> str:
        """The candidate's share of requests."""
        share = self.status.candidate_share
        return NOTHING if share is None else format_percent(share)

    @property
    def reason(self) -> str:
        """The weightiest reason of the verdict."""
        return self.status.reasons[0] if self.status.reasons else ""


def by_attention(statuses: Iterable[RolloutStatus], now: dt.datetime) -> list[RolloutRow]:
    """Return a row for each rollout, those that need an operator first, then by id."""
    rows = [_row(status, now) for status in statuses]
    return sorted(rows, key=lambda row: (row.rank, row.status.rollout_id))


def _row(status: RolloutStatus, now: dt.datetime) -> RolloutRow:
    is_silent = silence_of(status, now) is not None
    is_unknown = is_silent or status.is_outdated or status.verdict == "waiting"
    for rank, (applies, need) in enumerate(_needs(status, now)):
        if applies:
            return RolloutRow(status, rank, need, is_unknown)
    return RolloutRow(status, len(_needs(status, now)), NOTHING, is_unknown)


def _needs(status: RolloutStatus, now: dt.datetime) -> list[tuple[bool, str]]:
    """Return what may be needed, the most urgent first."""
    is_ready = status.verdict == "promote" and status.next_stage is not None
    silence = silence_of(status, now)
    return [
        (status.verdict == "rollback", "Find the cause, then resume it or delete it"),
        (status.is_paused, "Look at what paused it, then resume it"),
        (bool(status.alerts), status.alerts[0] if status.alerts else ""),
        (status.is_outdated, "No decision yet under the newest policy"),
        (silence is not None, f"No window for {format_duration(silence or 0.0)}"),
        (is_ready, f"Promote it to {status.next_stage}, or wait if that is automatic"),
        (status.verdict == "waiting", "No decision yet: do events arrive?"),
    ]


def silence_of(status: RolloutStatus, now: dt.datetime) -> float | None:
    """Return for how many seconds no window has come, if that is too long; else None."""
    return silence_since(status.windows_until, now)


def silence_since(until: dt.datetime | None, now: dt.datetime) -> float | None:
    """Return the same, from the end of the newest window."""
    if until is None or now - until < SILENT_AFTER:
        return None
    return (now - until).total_seconds()
