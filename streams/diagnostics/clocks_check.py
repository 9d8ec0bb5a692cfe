"""Whether gateways' clocks run ahead of the broker's, or behind. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, fail, ok, or_ok, warn

CLOCKS: Final = "clocks"
_FEW_EVENTS: Final = 20
"""Of fewer events the median delay says little about a gateway."""
_JITTER_MS: Final = 1000
"""What clocks that NTP keeps differ by, with room for a busy machine."""
_SLOW_MS: Final = 10_000
"""A gateway that batches for longer than this delays every decision noticeably."""


def check_clocks(
    sample: Sequence[SampledEvent], *, max_clock_skew_ms: int, join_timeout_ms: int
) -> list[Finding]:
    """Gateways whose clocks run ahead of the broker's, or behind the others'."""
    if not sample:
        return [ok(CLOCKS, "no events to look at")]
    if not all(one.stamped_by_broker for one in sample):
        return [warn(CLOCKS, "cannot be told: the topic keeps the producers' times",
                     "set message.timestamp.type=LogAppendTime on the events topic")]  # fmt: skip
    findings = [*_ahead(sample, max_clock_skew_ms), *_behind(sample, join_timeout_ms)]
    most_s = max(one.ahead_ms for one in sample) / 1000
    delay_s = median(one.delay_ms for one in sample) / 1000
    return or_ok(CLOCKS, findings, f"at most {max(0.0, most_s):.1f} s ahead; events arrive "
                 f"{delay_s:.1f} s after the answer (median)")  # fmt: skip


def _ahead(sample: Sequence[SampledEvent], max_clock_skew_ms: int) -> Iterator[Finding]:
    ahead = [one for one in sample if one.ahead_ms > _JITTER_MS]
    if not ahead:
        return
    worst = max(ahead, key=lambda one: one.ahead_ms)
    share = len(ahead) / len(sample)
    seen = (
        f"{share:.1%} of events have a request time ahead of the broker's clock, up to "
        f"{worst.ahead_ms / 1000:.1f} s by {worst.gateway}"
    )
    if worst.ahead_ms > max_clock_skew_ms:
        limit_s = max_clock_skew_ms / 1000
        yield fail(CLOCKS, seen, f"set that clock (NTP); more than {limit_s:g} s ahead is invalid")
    else:
        yield warn(CLOCKS, seen, "set that clock (NTP): it takes time from others' joins")


def _behind(sample: Sequence[SampledEvent], join_timeout_ms: int) -> Iterator[Finding]:
    delays: dict[str, list[float]] = defaultdict(list)
    for one in sample:
        delays[one.gateway].append(one.delay_ms)
    medians = {name: median(some) for name, some in delays.items() if len(some) >= _FEW_EVENTS}
    if not medians:
        return
    quickest = max(0.0, min(medians.values())) if len(medians) > 1 else 0.0
    for name, delay_ms in medians.items():
        behind_ms = delay_ms - quickest
        if behind_ms <= _SLOW_MS:
            continue
        seen = f"events of {name} arrive {behind_ms / 1000:.0f} s later than their times say"
        advice = "its clock is behind (NTP), or it publishes with that delay"
        if len(medians) > 1 and behind_ms > join_timeout_ms:
            yield fail(CLOCKS, seen, f"{advice}; beyond the join timeout they count as late")
        else:
            yield warn(CLOCKS, seen, advice)
