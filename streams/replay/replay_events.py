"""Runs recorded events through the decoding, joining, comparing and windowing of a worker.

A recording is read as one partition. It has no broker's timestamps to check clocks against; only
events more than a year after the time of the replay are invalid because of their clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from understudy.analyzers.windows.drawn_rows import DrawnRow, window_rows
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import BatchOutput, RecordBatch, Tally
from understudy.streams.replay.from_events import (
    Listener,
    WindowEmitter,
    batches_by_event_time,
    batches_by_size,
)
from understudy.streams.replay.invalid_lines import InvalidLines
from understudy.streams.replay.report import ReportSums

CLOCK_ALLOWANCE_MS: Final = 366 * 86_400_000
"""A year: recordings may be of another day, but not of another age."""


class ReplaySink(Protocol):
    """Where the results of a replay go, such as ClickHouse."""

    def put(self, outcome: BatchOutput, rows: list[DrawnRow], position: int) -> None:
        """Take the results of a batch."""


@dataclass(slots=True)
class ReplayResult:
    """The last version of every window row, and what became of the events."""

    rows: list[WindowRow] = field(default_factory=list)
    """None where they were handed on."""
    tally: Tally = field(default_factory=Tally)
    invalid: InvalidLines = field(default_factory=InvalidLines)
    """Events that could not be used; an index is that of the line."""


def replay(
    lines: Iterable[bytes],
    policy: PairingPolicy,
    now_ms: int,
    sink: ReplaySink | None = None,
    listener: Listener | None = None,
    sums: ReportSums | None = None,
    take_captured: Callable[[list[CapturedPair]], None] | None = None,
) -> ReplayResult:
    """Run recorded events through pairing; sides that still wait at the end are unmatched.

    A `listener` gets the messages that a worker would have written, with early versions of rows,
    at the pace of the recording. The result is the same with and without it. Where `sums` are
    given, they take the windows as they close, and no row is kept: a long recording has many.
    `take_captured` gets the pairs that the policy captures, instead of the sink.
    """
    partition = Partition(0, policy)
    result = ReplayResult(tally=partition.tally)
    if sums is not None and sink is None and listener is None:
        take = _sums_alone(partition, sums)
    else:
        take_rows: Callable[[Iterable[WindowRow]], None]
        take_rows = result.rows.extend if sums is None else sums.add
        take = _with_rows(partition, take_rows, sink, listener)
    batches = batches_by_size(lines) if listener is None else batches_by_event_time(lines)
    for batch in _record_batches(batches, now_ms + CLOCK_ALLOWANCE_MS):
        outcome = _without_captured(partition.process(batch), take_captured)
        _take(outcome, take, result)
    outcome = _without_captured(partition.finish(), take_captured)
    _take(outcome, take, result, is_end=True)
    return result


def _without_captured(
    outcome: BatchOutput, take_captured: Callable[[list[CapturedPair]], None] | None
) -> BatchOutput:
    """Hand captured pairs on, if somebody takes them."""
    if take_captured is not None:
        take_captured(outcome.captured)
        outcome.captured = []
    return outcome


class _TakeWindows(Protocol):
    """Takes the windows that closed, at the end all that are left, with what a batch brought."""

    def __call__(self, outcome: BatchOutput, *, is_end: bool) -> None: ...


def _take(
    outcome: BatchOutput, take: _TakeWindows, result: ReplayResult, *, is_end: bool = False
) -> None:
    for dead_letter in outcome.dead_letters:
        result.invalid.note(dead_letter.reason, dead_letter.detail, dead_letter.offset)
    take(outcome, is_end=is_end)


def _sums_alone(partition: Partition, sums: ReportSums) -> _TakeWindows:
    """Draw no rows: where windows hold few requests, drawing them is a third of the work."""

    def take(outcome: BatchOutput, *, is_end: bool) -> None:
        sums.add_windows(partition.take_all() if is_end else partition.take_closed())

    return take


def _with_rows(
    partition: Partition,
    take_rows: Callable[[Iterable[WindowRow]], None],
    sink: ReplaySink | None,
    listener: Listener | None,
) -> _TakeWindows:
    emitter = None if listener is None else WindowEmitter(partition, listener)

    def take(outcome: BatchOutput, *, is_end: bool) -> None:
        if emitter is None:
            rows = partition.draw_rows() if is_end else partition.draw_closed_rows()
        else:
            rows = emitter.close() if is_end else emitter.flush()
        take_rows(window_rows(rows))
        if sink is not None:
            sink.put(outcome, rows, partition.position)

    return take


def _record_batches(batches: Iterable[list[bytes]], timestamp_ms: int) -> Iterator[RecordBatch]:
    offset = 0
    for payloads in batches:
        n = len(payloads)
        yield RecordBatch(payloads, range(offset, offset + n), [timestamp_ms] * n, [None] * n)
        offset += n
