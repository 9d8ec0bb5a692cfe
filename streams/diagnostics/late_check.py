"""Whether rollouts lose events because they come late. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.streams.diagnostics.findings import Finding, fail
from understudy.streams.terminal.plain_text import one_line

LATE: Final = "late events"
MAX_LATE_SHARE: Final = 0.05
"""What policies tolerate by default (`max_late_share`)."""
_ADVICE: Final = (
    "an old recording was published beside newer events (use `understudy replay`), a gateway "
    "publishes with a delay, or a clock ran ahead; for slow answers raise pairing.join_timeout_s"
)


@dataclass(frozen=True, slots=True)
class LateCounts:
    """Events of one rollout in the last hour of event time."""

    rollout_id: str
    late: int
    events: int
    """All that have ended somewhere, the late ones included."""


def check_late(counts: Sequence[LateCounts]) -> Iterator[Finding]:
    """Rollouts of which more events come late than a policy tolerates."""
    for one in counts:
        if one.late > MAX_LATE_SHARE * one.events:
            name = one_line(one.rollout_id, 60)
            seen = f"{name}: {one.late:,} of {one.events:,} events came late and are not measured"
            yield fail(LATE, seen, _ADVICE)
