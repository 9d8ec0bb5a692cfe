"""The state of pairing at one time, copied out of its running parts for the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.schemas.windows import Source
from understudy.streams.clickhouse.loader import LoadCounters, Loader
from understudy.streams.monitoring.pairing_health import PairingCondition
from understudy.streams.monitoring.tally_totals import TallyTotals
from understudy.streams.pairing.assignment import ConsumerTotals
from understudy.streams.pairing.consumer import PairingConsumer


@dataclass(frozen=True, slots=True)
class PairingParts:
    """The running parts of pairing; monitoring only reads them."""

    readers: Sequence[PairingConsumer]
    """One for each source."""
    loader: Loader


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """A partition that the worker holds."""

    position: int
    committed: int | None
    watermark_ms: int | None
    waiting_sides: int
    open_windows: int
    end: int | None = None
    """End of the log, where it is known."""
    read_to: int | None = None
    """The position, or the end of the log where only marks of transactions follow."""
    capture_bytes: int = 0
    """That pairs which may be stored take."""


@dataclass(frozen=True, slots=True)
class ReaderSnapshot:
    """The consumer of one source."""

    partitions: Mapping[int, PartitionSnapshot]
    tally: Mapping[str, int]
    """Sums over the lifetime of the process, by field of `Tally`."""
    totals: ConsumerTotals
    dead_letters: Mapping[str, int]
    """Dead letters sent, by reason."""


@dataclass(frozen=True, slots=True)
class PairingSnapshot:
    """Everything that the metrics of pairing are made from."""

    readers: Mapping[Source, ReaderSnapshot]
    loader: LoadCounters
    buffered_bytes: int
    condition: PairingCondition
    now_ms: int


def snapshot_reader(
    reader: PairingConsumer, totals: TallyTotals, ends: Mapping[int, int]
) -> ReaderSnapshot:
    """Copy the state of a consumer; `ends` has the ends of partitions as far as they are known."""
    states = reader.partitions
    committed, read_to = reader.committed, reader.read_to
    return ReaderSnapshot(
        partitions={
            number: PartitionSnapshot(
                state.position,
                _offset(committed.get(number)),
                state.watermark_ms,
                state.waiting_sides,
                state.open_windows,
                end=ends.get(number),
                read_to=read_to.get(number),
                capture_bytes=state.capture_bytes,
            )
            for number, state in states.items()
        },
        tally=totals.total(state.tally for state in states.values()),
        totals=reader.totals,
        dead_letters=dict(reader.dead_letters),
    )


def _offset(committed: int | None) -> int | None:
    return committed if committed is not None and committed >= 0 else None
