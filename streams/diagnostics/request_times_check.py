"""Whether the sides of a pair carry the same request time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from understudy.schemas.events import request_time_ms
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, or_ok, warn
from understudy.streams.terminal.plain_text import one_line

REQUEST_TIMES: Final = "request times"
_CLOSE: Final = 0.5
"""Share of the tolerance; where sides lie further apart, some soon lie beyond it."""


def check_request_times(
    sample: Sequence[SampledEvent], tolerance_ms: int, join_timeout_ms: int
) -> list[Finding]:
    """Rollouts whose sides are stamped so far apart that pairs get lost, or soon will.

    Times further apart than the join timeout belong to two requests with one `pair_id`.
    """
    spreads: dict[str, list[int]] = defaultdict(list)
    for (rollout_id, _), times_ms in _times(sample).items():
        spread_ms = max(times_ms) - min(times_ms)
        if len(times_ms) > 1 and spread_ms <= join_timeout_ms:
            spreads[rollout_id].append(spread_ms)
    findings = [f for name, some in spreads.items() for f in _spread(name, some, tolerance_ms)]
    return or_ok(REQUEST_TIMES, findings, _said([ms for some in spreads.values() for ms in some]))


def _times(sample: Sequence[SampledEvent]) -> dict[tuple[str, str], list[int]]:
    times_ms: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in sample:
        times_ms[one.event.rollout_id, one.event.pair_id].append(request_time_ms(one.event))
    return times_ms


def _spread(rollout_id: str, spreads_ms: list[int], tolerance_ms: int) -> Iterator[Finding]:
    beyond = sum(1 for ms in spreads_ms if ms > tolerance_ms)
    close = sum(1 for ms in spreads_ms if _CLOSE * tolerance_ms < ms <= tolerance_ms)
    if not beyond and not close:
        return
    said = (
        f"{beyond:,} of {len(spreads_ms):,} pairs have request times more than "
        f"{tolerance_ms / 1000:g} s apart: they are not joined"
        if beyond
        else f"{close:,} of {len(spreads_ms):,} pairs have request times up to "
        f"{max(spreads_ms) / 1000:g} s apart, and {tolerance_ms / 1000:g} s is the tolerance"
    )
    yield warn(
        REQUEST_TIMES,
        f"{one_line(rollout_id, 60)}: {said}",
        "stamp request_time once and copy it to every side, use a pair_id once, synchronize the "
        "clocks of gateways, or raise pairing.request_time_tolerance_s",
    )


def _said(spreads_ms: list[int]) -> str:
    skewed = sum(1 for ms in spreads_ms if ms)
    if not skewed:
        return f"the same on all sides of {len(spreads_ms):,} pairs"
    return (
        f"{skewed:,} of {len(spreads_ms):,} pairs have sides with different request times, "
        f"{max(spreads_ms) / 1000:g} s apart at most; within the tolerance"
    )
