"""Recorded events through the same decode, join, compare and window code, without Kafka.

The recording is read as one partition. A recording has no broker's timestamps to hold clocks
against; only what lies more than a year after the time of the replay is invalid for its clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition import Partition
from understudy.streams.pairing.records import Outcome, RecordBatch, Tally
from understudy.streams.replay.from_events import Listener, WindowFeed, paced

BATCH_LINES: Final = 5000
CLOCK_ALLOWANCE_MS: Final = 366 * 86_400_000


class ReplaySink(Protocol):
    """Where a replay's results go; ClickHouse, or nothing."""

    def put(self, outcome: Outcome, rows: list[WindowRow], position: int) -> None:
        """Take what a batch brought."""


@dataclass(slots=True)
class ReplayResult:
    """The last version of every window row, and what became of the events."""

    rows: list[WindowRow] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    dead_letters: dict[str, int] = field(default_factory=dict)
    """Invalid events by reason."""


def replay(
    lines: Iterable[bytes],
    policy: PairingPolicy,
    now_ms: int,
    sink: ReplaySink | None = None,
    listener: Listener | None = None,
) -> ReplayResult:
    """Run recorded events through pairing; what still waits at the end counts as unmatched.

    A `listener` is told of window rows as a worker would have written them, early ones included,
    at the recording's own pace. The result is the same with and without it.
    """
    partition = Partition(0, policy)
    result = ReplayResult(tally=partition.tally)
    feed = None if listener is None else WindowFeed(partition, listener)
    in_batches = _by_number(lines) if feed is None else paced(lines, most=BATCH_LINES)
    for batch in _batches(in_batches, now_ms + CLOCK_ALLOWANCE_MS):
        outcome = partition.process(batch)
        rows = partition.take_closed_rows() if feed is None else feed.flush()
        _gather(partition, outcome, rows, result, sink)
    outcome = partition.finish()
    rows = partition.take_rows() if feed is None else feed.end()
    _gather(partition, outcome, rows, result, sink)
    return result


def _gather(
    partition: Partition,
    outcome: Outcome,
    rows: list[WindowRow],
    result: ReplayResult,
    sink: ReplaySink | None,
) -> None:
    result.rows.extend(rows)
    for letter in outcome.dead_letters:
        result.dead_letters[letter.reason] = result.dead_letters.get(letter.reason, 0) + 1
    if sink is not None:
        sink.put(outcome, rows, partition.position)


def _by_number(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    stream = iter(lines)
    while batch := list(islice(stream, BATCH_LINES)):
        yield batch


def _batches(batches: Iterable[list[bytes]], timestamp_ms: int) -> Iterator[RecordBatch]:
    offset = 0
    for payloads in batches:
        n = len(payloads)
        yield RecordBatch(payloads, range(offset, offset + n), [timestamp_ms] * n, [None] * n)
        offset += n
