"""Messages of windows as pairing writes them, of the simulated gateway's events."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.demo.simulator import SimulatedMessage, simulate
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch
from understudy.streams.pairing.windows_messages import windows_messages

Relabel = Callable[[SimulatedMessage], SimulatedMessage]


class Written(NamedTuple):
    """A message of windows, as it was written."""

    second: int
    at_ms: int
    payload: bytes


def written_windows(
    start: dt.datetime, rate: float, partitions: int, seconds: int, *, relabel: Relabel, pairs: int
) -> Iterator[Written]:
    """What pairing writes to `understudy.windows` within so many seconds of event time.

    `pairs` are simulated at the most; `relabel` says in which slices their events are.
    """
    start_ms = to_epoch_ms(start)
    messages = simulate(seed=1, pairs=pairs, healthy=True, start=start, rate_per_s=rate)
    states = [Partition(number, PairingPolicy()) for number in range(partitions)]
    for second, batches in enumerate(_seconds(messages, relabel, partitions, seconds)):
        for state in states:
            state.process(_records(batches[state.number], state.position, start_ms))
            sent = windows_messages([state.changed_rows()])
            for _, payload in sent:
                yield Written(second, start_ms + 1000 * second + state.number, payload)


def _seconds(
    messages: Iterator[SimulatedMessage], relabel: Relabel, partitions: int, seconds: int
) -> Iterator[dict[int, list[SimulatedMessage]]]:
    """Messages by partition, one second after the other, also those in which none come."""
    until_s, batches = 1.0, defaultdict[int, list[SimulatedMessage]](list)
    for message in messages:
        while message.arrival_offset_s >= until_s:
            yield batches
            until_s, batches = until_s + 1.0, defaultdict(list)
            if until_s > seconds:
                return
        batches[crc32(message.key.encode()) % partitions].append(relabel(message))


def _records(some: list[SimulatedMessage], position: int, start_ms: int) -> RecordBatch:
    return RecordBatch(
        payloads=[message.payload for message in some],
        offsets=range(position, position + len(some)),
        timestamps_ms=[start_ms + round(1000 * message.arrival_offset_s) for message in some],
        keys=[message.key.encode() for message in some],
    )
