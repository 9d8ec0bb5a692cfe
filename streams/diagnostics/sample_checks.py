"""What the newest events of each partition tell about gateways. Pure."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from understudy.schemas.events import (
    PAIRED_MODES,
    Event,
    InvalidEvent,
    decode_event,
    event_key,
    request_time_ms,
)
from understudy.streams.diagnostics.findings import Finding, Level, fail, ok, or_ok, warn
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.terminal.plain_text import one_line

PARTITIONER_CHECK: Final = "partitioner"
KEYS: Final = "keys"
CLOCKS: Final = "clocks"
SIDES: Final = "sides"
GATEWAY_ATTRIBUTES: Final = ("gateway", "service.instance.id", "host.name")
"""Attributes of an event that may name the gateway that wrote it."""

_FEW_EVENTS: Final = 20
_UNBALANCED: Final = 0.9
_JITTER_MS: Final = 1000
_SLOW_MS: Final = 10_000
_USE_MURMUR2: Final = (
    "set the gateways' partitioner to murmur2_random (librdkafka's own choice is "
    "consistent_random; Java's is right)"
)


@dataclass(frozen=True, slots=True)
class SampledEvent:
    """A valid event, and where and when it reached Kafka."""

    partition: int
    timestamp_ms: int
    stamped_by_broker: bool
    key: bytes | None
    event: Event

    @property
    def right_key(self) -> bytes:
        """The key that it should have."""
        return event_key(self.event.rollout_id, self.event.pair_id).encode()

    @property
    def gateway(self) -> str:
        """Who wrote it, if it says so; else its rollout."""
        attributes = self.event.attributes or {}
        for name in GATEWAY_ATTRIBUTES:
            if attributes.get(name):
                return f"gateway {one_line(attributes[name], 60)}"
        return f"rollout {one_line(self.event.rollout_id, 60)}"

    @property
    def ahead_ms(self) -> int:
        """How far its request time lies after its arrival."""
        return request_time_ms(self.event) - self.timestamp_ms

    @property
    def delay_ms(self) -> float:
        """From the answer's end to its arrival, by the gateway's clock and the broker's."""
        timing = self.event.timing
        return -self.ahead_ms - ((timing.duration_ms if timing else None) or 0.0)


def sampled(
    partition: int,
    timestamp_ms: int,
    stamped_by_broker: bool,
    key: bytes | None,
    payload: bytes | None,
    max_event_bytes: int,
) -> SampledEvent | None:
    """A record as part of a sample; None when it is no valid event."""
    try:
        event = decode_event(payload, max_event_bytes)
    except InvalidEvent:
        return None
    return SampledEvent(partition, timestamp_ms, stamped_by_broker, key, event)


def check_partitioner(sample: Sequence[SampledEvent], partitions: int) -> list[Finding]:
    """Pairs that are torn apart, and keys that lie elsewhere than murmur2 puts them."""
    if not sample:
        return [ok(PARTITIONER_CHECK, "no events to look at")]
    torn = list(_torn(sample))
    findings = [*torn, *_misplaced(sample, partitions, Level.FAIL if torn else Level.WARN)]
    return or_ok(PARTITIONER_CHECK, findings, f"{len(sample):,} events lie where they belong")


def _torn(sample: Sequence[SampledEvent]) -> Iterator[Finding]:
    places: dict[tuple[str, str], set[int]] = defaultdict(set)
    for one in sample:
        places[one.event.rollout_id, one.event.pair_id].add(one.partition)
    torn = [pair for pair, where in places.items() if len(where) > 1]
    if torn:
        rollout_id, pair_id = torn[0]
        yield fail(
            PARTITIONER_CHECK,
            f"{len(torn):,} of {len(places):,} pairs have sides in different partitions, such as "
            f"{one_line(pair_id, 60)} of {one_line(rollout_id, 60)}; they are never joined",
            f"{_USE_MURMUR2}, and the same key for all sides",
        )


def _misplaced(sample: Sequence[SampledEvent], partitions: int, level: Level) -> Iterator[Finding]:
    """Where every publisher goes wrong in the same way, sides still meet."""
    keyed = [one for one in sample if one.key]
    wrong = [one for one in keyed if partition_of(one.key or b"", partitions) != one.partition]
    if not wrong:
        return
    by_crc32 = sum(zlib.crc32(one.key or b"") % partitions == one.partition for one in wrong)
    what = ", where librdkafka's default puts them" if by_crc32 > 0.9 * len(wrong) else ""
    writers = Counter(one.gateway for one in wrong)
    named = ", ".join(f"{name} ({count:,})" for name, count in writers.most_common(3))
    yield Finding(
        PARTITIONER_CHECK,
        level,
        f"{len(wrong):,} of {len(keyed):,} keys lie in another partition than murmur2's{what}: "
        f"{named}",
        _USE_MURMUR2,
    )


def check_keys(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Keys that are missing or of another form."""
    missing = [one for one in sample if not one.key]
    other = [one for one in sample if one.key and one.key != one.right_key]
    findings = []
    if missing:
        seen = f"{len(missing):,} events have no key, as of {missing[0].gateway}"
        findings.append(fail(KEYS, seen,
                             "write `rollout_id/pair_id` as key: sides meet by it"))  # fmt: skip
    if other:
        shown = one_line((other[0].key or b"").decode("utf-8", "backslashreplace"), 80)
        findings.append(
            fail(
                KEYS,
                f"{len(other):,} keys are not rollout_id/pair_id, such as {shown}",
                f"write {one_line(other[0].right_key.decode(), 120)} there: dead letters "
                "rely on it",
            )
        )
    return or_ok(KEYS, findings, f"{len(sample):,} have the right form" if sample else "no events")


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
