"""Workers that are killed at random, over a log, and what their sinks hold in the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.streams.pairing.log import EPOCH
from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.rows import row_key
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.commit_rule import SafeCommit
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.records import BatchOutput, RecordBatch

FAR_MS = int(EPOCH.timestamp() * 1000) + 10**9


@dataclass
class Sinks:
    """What survives a kill: the newest row of each key, results, the last commit."""

    rows: dict[tuple[Any, ...], WindowRow] = field(default_factory=dict)
    outcomes: set[tuple[Any, ...]] = field(default_factory=set)
    """Comparisons, unmatched sides, judged pairs and dead letters, each by what identifies it;
    captured pairs with all that they hold."""
    commit: SafeCommit | None = None
    torn: bool = False
    """Whether two rows of one key and version differed."""

    def take(self, rows: list[WindowRow]) -> None:
        for row in rows:
            known = self.rows.get(row_key(row))
            if known is not None and known.version == row.version:
                self.torn |= known != row
            if known is None or row.version >= known.version:
                self.rows[row_key(row)] = row

    def take_outcome(self, outcome: BatchOutput) -> None:
        for some in outcome.comparisons:
            asked = some.requests
            times_ms, offsets = asked.request_time_ms.tolist(), asked.offset.tolist()
            rows = zip(asked.pair_id, times_ms, offsets, asked.language, strict=True)
            self.outcomes.update(("compared", *row) for row in rows)
        for one in outcome.unmatched:
            self.outcomes.add(("unmatched", one.side.offset, one.reason, one.window_start_ms))
        self.outcomes.update(("dead", one.offset, one.reason) for one in outcome.dead_letters)
        self.outcomes.update(("captured", repr(pair)) for pair in outcome.captured)
        judged = ((one.offset, one.evaluation.pair_id) for one in outcome.evaluations)
        self.outcomes.update(("judged", *one) for one in judged)

    def contents(self) -> dict[tuple[Any, ...], bytes]:
        """Rows as bytes; of an open one the version tells only when it was last drawn."""
        return {
            key: msgspec.json.encode(row if row.closed else msgspec.structs.replace(row, version=0))
            for key, row in self.rows.items()
        }


class Worker:
    """Reads a log from what is committed; `read_to` stops without a flush, like a kill."""

    def __init__(
        self,
        log: list[bytes],
        sinks: Sinks,
        policy: PairingPolicy,
        state: type[PartitionState] = Partition,
    ) -> None:
        commit = sinks.commit
        self.log, self.sinks = log, sinks
        self.state = state(
            0,
            policy,
            start_offset=commit.offset if commit else 0,
            resumed=commit.metadata if commit else None,
        )
        self.state.begin_reading_at(self.state.reads_from(self.state.position, 0))

    def read_to(self, end: int) -> None:
        start, n = self.state.position, end - self.state.position
        if n > 0:
            outcome = self.state.process(
                RecordBatch(self.log[start:end], range(start, end), [FAR_MS] * n, [None] * n)
            )
            self.sinks.take_outcome(outcome)

    def flush(self, torn: random.Random | None = None) -> None:
        """Write all rows and commit; torn: write only some rows, commit nothing."""
        rows = window_rows(self.state.draw_rows())
        if torn is not None:
            self.sinks.take([row for row in rows if torn.random() < 0.5])
            return
        self.sinks.take(rows)
        self.sinks.commit = self.state.safe_commit(self.state.position) or self.sinks.commit


def undisturbed(
    log: list[bytes], policy: PairingPolicy, state: type[PartitionState] = Partition
) -> Sinks:
    """What one worker writes that is never interrupted."""
    worker = Worker(log, Sinks(), policy, state)
    worker.read_to(len(log))
    worker.flush()
    return worker.sinks


def cut_anywhere(
    log: list[bytes], rng: random.Random, policy: PairingPolicy, longest: int
) -> Sinks:
    """What one worker writes that is never interrupted, in batches of up to so many records."""
    worker = Worker(log, Sinks(), policy)
    while worker.state.position < len(log):
        worker.read_to(min(len(log), worker.state.position + rng.randint(1, longest)))
        worker.flush()
    return worker.sinks


def disturbed(
    log: list[bytes],
    rng: random.Random,
    policy: PairingPolicy,
    state: type[PartitionState] = Partition,
) -> Sinks:
    """Workers follow one another; each is killed somewhere, the last one reads to the end."""
    sinks = Sinks()
    for _ in range(rng.randrange(1, 8)):
        worker = Worker(log, sinks, policy, state)
        for _ in range(rng.randrange(6)):
            worker.read_to(min(len(log), worker.state.position + rng.randrange(1, 40)))
            roll = rng.random()
            if roll < 0.6:
                worker.flush()
            elif roll < 0.8:
                worker.flush(torn=rng)
                break
    worker = Worker(log, sinks, policy, state)
    while worker.state.position < len(log):
        worker.read_to(min(len(log), worker.state.position + rng.randrange(1, 60)))
        worker.flush()
    worker.flush()
    return sinks


def killed_everywhere(
    log: list[bytes], policy: PairingPolicy, state: type[PartitionState] = Partition
) -> list[int]:
    """Positions at which a kill shows, of a worker that flushes after every record."""
    whole = undisturbed(log, policy, state)
    return [
        at
        for at in range(1, len(log))
        if differences_between(whole, killed_at(log, at, policy, state))
    ]


def killed_at(
    log: list[bytes], position: int, policy: PairingPolicy, state: type[PartitionState]
) -> Sinks:
    """One worker flushes after every record until it is killed; another reads the rest."""
    sinks = Sinks()
    worker = Worker(log, sinks, policy, state)
    for end in range(1, position + 1):
        worker.read_to(end)
        worker.flush()
    worker = Worker(log, sinks, policy, state)
    worker.read_to(len(log))
    worker.flush()
    return sinks


def differences_between(whole: Sinks, parts: Sinks) -> list[tuple[Any, ...]]:
    """Keys of rows that differ, and results that only one of both stored."""
    left, right = whole.contents(), parts.contents()
    rows = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
    torn = [("torn",)] if parts.torn else []
    return [*rows, *(whole.outcomes ^ parts.outcomes), *torn]
