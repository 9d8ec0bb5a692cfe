"""How many events could not be used lately, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from understudy.schemas.events import InvalidReason
from understudy.streams.diagnostics.findings import Finding, Level, ok
from understudy.streams.terminal.plain_text import one_line

DEAD_LETTERS: Final = "dead letters"
_MANY: Final = 0.01

_ADVICE: Final[Mapping[str, str]] = {
    InvalidReason.EMPTY: "a gateway writes messages without a value",
    InvalidReason.TOO_LARGE: "raise pairing.max_event_bytes, then replay; or shorten outputs",
    InvalidReason.NOT_JSON: "a gateway writes something else than JSON to this topic",
    InvalidReason.UNSUPPORTED_VERSION: "upgrade the workers, then replay",
    InvalidReason.SCHEMA: "a field is wrong; `dead-letters show` names it",
    InvalidReason.SIDES: "mode, side and sides of the event contradict each other",
    InvalidReason.CLOCK_AHEAD: "set the gateway's clock (NTP)",
    InvalidReason.DISAGREES: "sides of a pair disagree in request_time, mode or sides",
    InvalidReason.UNREADABLE: "a producer's batch unpacks to more than 32 MiB, or is damaged",
    InvalidReason.ANALYZER_FAILED: "a defect of ours: report the detail, upgrade, then replay",
}


def check_dead_letters(reasons: Counter[str], events: int) -> list[Finding]:
    """By reason, of the last hour; `events` came in that time."""
    if not reasons:
        return [ok(DEAD_LETTERS, "none in the last hour")]
    level = Level.FAIL if reasons.total() > _MANY * events else Level.WARN
    return [
        Finding(
            DEAD_LETTERS,
            level,
            f"{count:,} × {one_line(reason, 40)} in the last hour, of {events:,} events",
            _ADVICE.get(reason, "see `understudy dead-letters list`"),
        )
        for reason, count in reasons.most_common()
    ]
