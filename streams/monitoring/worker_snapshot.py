"""What is to be known of a worker at one time, copied out of its running parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.schemas.windows import Source
from understudy.streams.clickhouse.loader import LoadCounters, Loader
from understudy.streams.monitoring.health import Condition
from understudy.streams.monitoring.tally_ledger import TallyLedger
from understudy.streams.pairing.consumer import ConsumerTotals, PairingConsumer


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts of a worker; they are only looked at."""

    readers: Sequence[PairingConsumer]
    """One for each source."""
    loader: Loader


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """One partition that the worker holds."""

    position: int
    committed: int | None
    watermark_ms: int | None
    waiting_sides: int
    open_windows: int
    end: int | None = None
    """Of the log, where it is known."""


@dataclass(frozen=True, slots=True)
class ReaderSnapshot:
    """What reads one source."""

    partitions: Mapping[int, PartitionSnapshot]
    tally: Mapping[str, int]
    """Sums over the process's life, by field of `Tally`."""
    totals: ConsumerTotals
    dead_letters: Mapping[str, int]
    """Sent, by reason."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that metrics are made from."""

    readers: Mapping[Source, ReaderSnapshot]
    loader: LoadCounters
    buffered_bytes: int
    condition: Condition
    now_ms: int


def take_reader(
    reader: PairingConsumer, ledger: TallyLedger, ends: Mapping[int, int]
) -> ReaderSnapshot:
    """Look at a reader once; `ends` are those of the log's partitions that are known."""
    states = reader.partitions
    committed = reader.committed
    return ReaderSnapshot(
        partitions={
            number: PartitionSnapshot(
                state.position,
                _offset(committed.get(number)),
                state.watermark_ms,
                state.waiting_sides,
                state.open_windows,
                ends.get(number),
            )
            for number, state in states.items()
        },
        tally=ledger.total(state.tally for state in states.values()),
        totals=reader.totals,
        dead_letters=dict(reader.dead_letters),
    )


def _offset(committed: int | None) -> int | None:
    return committed if committed is not None and committed >= 0 else None
