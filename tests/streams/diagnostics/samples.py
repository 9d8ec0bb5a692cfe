"""Made-up facts for the doctor's checks, and what came of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from tests.streams.diagnostics.brokers import event, key
from understudy.streams.diagnostics.event_sample import SampledEvent, sampled
from understudy.streams.diagnostics.findings import Finding, Level
from understudy.streams.kafka.partitioner import partition_of

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
PARTITIONS = 4
OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


def levels(findings: Sequence[Finding]) -> list[Level]:
    assert all(bool(one.advice) is (one.level is not OK) for one in findings)
    return [one.level for one in findings]


def record(
    pair: int,
    side: str = "stable",
    *,
    arrived_s: float = 1.0,
    partition: int | None = None,
    with_key: bytes | None = b"right",
    broker_time: bool = True,
    **more: Any,
) -> SampledEvent:
    own_key = key(pair) if with_key == b"right" else with_key
    found = sampled(
        partition_of(own_key or b"", PARTITIONS) if partition is None else partition,
        NOW_MS + round(arrived_s * 1000),
        broker_time,
        own_key,
        event(pair, side, at=NOW, **more),
        1_000_000,
    )
    assert found is not None
    return found


def both(count: int, **more: Any) -> list[SampledEvent]:
    return [record(n, side, **more) for n in range(count) for side in ("stable", "candidate")]
