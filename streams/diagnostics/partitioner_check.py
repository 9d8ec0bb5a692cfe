"""Whether events lie in the partitions where murmur2 puts their keys. Pure."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, Level, fail, ok, or_ok
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.terminal.plain_text import one_line

PARTITIONER_CHECK: Final = "partitioner"
_MOSTLY: Final = 0.9
"""Of the misplaced keys: below it, more than one partitioner is at work."""
_USE_MURMUR2: Final = (
    "set the gateways' partitioner to murmur2_random (librdkafka's own choice is "
    "consistent_random; Java's is right)"
)


def check_partitioner(sample: Sequence[SampledEvent], partitions: int) -> list[Finding]:
    """Pairs that are torn apart, and keys that lie elsewhere than murmur2 puts them."""
    if not sample:
        return [ok(PARTITIONER_CHECK, "no events to look at")]
    torn = list(_torn(sample))
    findings = [*torn, *_misplaced(sample, partitions, Level.FAIL if torn else Level.WARN)]
    return or_ok(PARTITIONER_CHECK, findings, f"{len(sample):,} events lie where they belong")


def _torn(sample: Sequence[SampledEvent]) -> Iterator[Finding]:
    places: dict[tuple[str, str, bytes], set[int]] = defaultdict(set)
    for one in sample:
        # Sides with two conversations have two keys: that is a matter of the check on keys.
        places[one.event.rollout_id, one.event.pair_id, one.right_key].add(one.partition)
    torn = [pair for pair, where in places.items() if len(where) > 1]
    if torn:
        rollout_id, pair_id, _ = torn[0]
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
    what = ", where librdkafka's default puts them" if by_crc32 > _MOSTLY * len(wrong) else ""
    writers = Counter(one.gateway for one in wrong)
    named = ", ".join(f"{name} ({count:,})" for name, count in writers.most_common(3))
    yield Finding(
        PARTITIONER_CHECK,
        level,
        f"{len(wrong):,} of {len(keyed):,} keys lie in another partition than murmur2's{what}: "
        f"{named}",
        _USE_MURMUR2,
    )
