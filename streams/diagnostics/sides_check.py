"""Whether both sides of each rollout come. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from understudy.schemas.events import PAIRED_MODES
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, fail, or_ok, warn
from understudy.streams.terminal.plain_text import one_line

SIDES: Final = "sides"
_FEW_EVENTS: Final = 20
"""Of fewer events a side may be missing by chance, or because it has not come yet."""
_UNBALANCED: Final = 0.9
"""A loss of a tenth is far above what timeouts and sampling explain."""


def check_sides(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Rollouts of which one side is missing, or much rarer than the other."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in sample:
        counts[one.event.rollout_id, one.event.mode][one.event.side] += 1
    findings = [
        f for (rollout, mode), some in counts.items() for f in _balance(rollout, mode, some)
    ]
    return or_ok(SIDES, findings, f"both sides of {len(counts)} rollouts come" if counts
                 else "no events to look at")  # fmt: skip


def _balance(rollout_id: str, mode: str, counts: Counter[str]) -> Iterator[Finding]:
    stable, candidate = counts["stable"], counts["candidate"]
    name = one_line(rollout_id, 60)
    if stable + candidate < _FEW_EVENTS:
        return
    if not stable or not candidate:
        missing = "candidate" if stable else "stable"
        seen = f"{name} ({mode}): no {missing} side among {stable + candidate:,} events"
        yield fail(SIDES, seen, f"see why no {missing} events are written: nothing is compared")
    elif mode in PAIRED_MODES and min(stable, candidate) < _UNBALANCED * max(stable, candidate):
        yield warn(SIDES, f"{name} ({mode}): {stable:,} stable and {candidate:,} candidate sides",
                   "see where the rarer side gets lost: it may hide a failure")  # fmt: skip
