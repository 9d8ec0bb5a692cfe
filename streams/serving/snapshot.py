"""What is to be known of a worker at one time, copied out of its running parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from understudy.streams.loading.loader import LoadCounters, Loader
from understudy.streams.pairing.consumer import ConsumerTotals, PairingConsumer
from understudy.streams.pairing.publishing import Publisher
from understudy.streams.serving.health import Condition
from understudy.streams.serving.ledger import TallyLedger


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts of a worker; they are only looked at."""

    consumer: PairingConsumer
    loader: Loader
    publisher: Publisher


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """One partition that the worker holds."""

    position: int
    committed: int | None
    watermark_ms: int | None
    waiting_sides: int
    open_windows: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that metrics are made from."""

    partitions: Mapping[int, PartitionSnapshot]
    tally: Mapping[str, int]
    """Sums over the process's life, by field of `Tally`."""
    totals: ConsumerTotals
    dead_letters: Mapping[str, int]
    loader: LoadCounters
    buffered_bytes: int
    ends: Mapping[int, int]
    """End offsets of partitions, where they are known."""
    condition: Condition
    now_ms: int
    cpu_s: float
    """Processor time of this process."""


def take(
    parts: Parts,
    ledger: TallyLedger,
    *,
    ends: Mapping[int, int],
    condition: Condition,
    now_ms: int,
    cpu_s: float,
) -> Snapshot:
    """Look at everything once."""
    states = parts.consumer.partitions
    committed = parts.consumer.committed
    return Snapshot(
        partitions={
            number: PartitionSnapshot(
                state.position,
                _offset(committed.get(number)),
                state.watermark_ms,
                state.waiting_sides,
                state.open_windows,
            )
            for number, state in states.items()
        },
        tally=ledger.total(state.tally for state in states.values()),
        totals=parts.consumer.totals,
        dead_letters=dict(parts.publisher.dead_letters),
        loader=parts.loader.counters,
        buffered_bytes=parts.loader.buffered_bytes,
        ends=ends,
        condition=condition,
        now_ms=now_ms,
        cpu_s=cpu_s,
    )


def _offset(committed: int | None) -> int | None:
    return committed if committed is not None and committed >= 0 else None
