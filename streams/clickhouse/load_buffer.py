"""A bounded buffer of rows to insert, batched and acknowledged in order. No clock, no thread.

An offer brings blocks of one or several tables and, per partition, the position up to which
everything has then been offered. Blocks of a table are gathered into batches. An offer is stored
once all its blocks are, and a partition's position moves only over stored offers, in the order in
which they came. The callers choose the keys of partitions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from understudy.streams.clickhouse.native_format import Block

PartitionKey = Hashable
"""The key of a partition; callers that share a buffer use different ones."""

NOTHING_STORED: Final = -1
_MIB: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """When to insert, how much to hold, how to try again."""

    batch_rows: int = 50_000
    batch_bytes: int = 16 * _MIB
    batch_age_s: float = 1.0
    """A batch is inserted when it has this many rows or bytes, or its first row has waited so."""
    buffer_bytes: int = 256 * _MIB
    """Of encoded rows, those being inserted included."""
    insert_timeout_s: float = 30.0
    """How long ClickHouse may work on one insert."""
    first_pause_s: float = 0.2
    longest_pause_s: float = 15.0
    """The pause before trying again doubles from the one to the other."""
    retry_timeout_s: float = 60.0
    """How long a loader without a thread goes on trying before it raises."""


@dataclass(slots=True)
class _Offer:
    positions: Mapping[PartitionKey, int]
    blocks_left: int


@dataclass(frozen=True, slots=True)
class InsertBatch:
    """Blocks of one table, for one insert; each names its own columns."""

    table: str
    rows: int
    nbytes: int
    _blocks: Sequence[tuple[Block, _Offer]]

    @property
    def payload(self) -> bytes:
        """The blocks end to end, in ClickHouse's Native format."""
        return b"".join(block.payload for block, _ in self._blocks)


@dataclass(slots=True)
class _Group:
    """Blocks that may share an insert, oldest first, each with the time of its arrival."""

    waiting: deque[tuple[Block, _Offer, float]] = field(default_factory=deque)
    rows: int = 0
    nbytes: int = 0

    def add(self, block: Block, entry: _Offer, now_s: float) -> None:
        self.waiting.append((block, entry, now_s))
        self.rows += block.rows
        self.nbytes += len(block.payload)

    def take(self, policy: LoadPolicy) -> list[tuple[Block, _Offer]]:
        """The oldest blocks up to the limits of a batch, at least one."""
        taken: list[tuple[Block, _Offer]] = []
        rows = nbytes = 0
        while self.waiting and rows < policy.batch_rows and nbytes < policy.batch_bytes:
            block, entry, _ = self.waiting.popleft()
            taken.append((block, entry))
            rows += block.rows
            nbytes += len(block.payload)
        self.rows -= rows
        self.nbytes -= nbytes
        return taken


class LoadBuffer:
    """Holds encoded rows until they are stored; times are seconds of any steady clock."""

    def __init__(self, policy: LoadPolicy) -> None:
        self._policy = policy
        self._groups: dict[str, _Group] = {}
        self._unstored: dict[PartitionKey, deque[_Offer]] = {}
        self._positions: dict[PartitionKey, int] = {}
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes held, those being inserted included."""
        return self._nbytes

    @property
    def empty(self) -> bool:
        """Whether everything offered has been stored."""
        return self._nbytes == 0

    def offer(
        self, blocks: Sequence[Block], positions: Mapping[PartitionKey, int], now_s: float
    ) -> bool:
        """Take all of the blocks or, when they do not fit, none.

        What is larger than the whole buffer is taken when nothing else is held.
        """
        filled = [block for block in blocks if block.rows]
        nbytes = sum(len(block.payload) for block in filled)
        if self._nbytes and self._nbytes + nbytes > self._policy.buffer_bytes:
            return False
        entry = _Offer(dict(positions), len(filled))
        for partition in entry.positions:
            self._unstored.setdefault(partition, deque()).append(entry)
        for block in filled:
            group = self._groups.setdefault(block.table, _Group())
            group.add(block, entry, now_s)
        self._nbytes += nbytes
        self._advance(entry)
        return True

    def take_due(self, now_s: float, *, everything: bool = False) -> InsertBatch | None:
        """The next batch to insert, if one is full or old enough; the one that waits longest.

        It stays in `nbytes` until `stored` is called with it.
        """
        due = [
            (group.waiting[0][2], table)
            for table, group in self._groups.items()
            if group.waiting and (everything or self._due_at(group) <= now_s)
        ]
        if not due:
            return None
        table = min(due)[1]
        blocks = self._groups[table].take(self._policy)
        rows = sum(block.rows for block, _ in blocks)
        nbytes = sum(len(block.payload) for block, _ in blocks)
        return InsertBatch(table, rows, nbytes, blocks)

    def due_at(self) -> float | None:
        """The time at which the next batch is due, as things stand."""
        return min(
            (self._due_at(group) for group in self._groups.values() if group.waiting), default=None
        )

    def stored(self, batch: InsertBatch) -> None:
        """The batch is in ClickHouse."""
        self._nbytes -= batch.nbytes
        for _, entry in batch._blocks:
            entry.blocks_left -= 1
            self._advance(entry)

    def position(self, partition: PartitionKey) -> int:
        """Up to where everything offered is stored; `NOTHING_STORED` when nothing is known."""
        return self._positions.get(partition, NOTHING_STORED)

    def clear(self, partition: PartitionKey) -> None:
        """Start again for a partition; rows that wait are still inserted, but move nothing."""
        self._unstored.pop(partition, None)
        self._positions.pop(partition, None)

    def _due_at(self, group: _Group) -> float:
        full = group.rows >= self._policy.batch_rows or group.nbytes >= self._policy.batch_bytes
        return group.waiting[0][2] + (0.0 if full else self._policy.batch_age_s)

    def _advance(self, entry: _Offer) -> None:
        for partition in entry.positions:
            unstored = self._unstored.get(partition, ())
            while unstored and unstored[0].blocks_left == 0:
                self._positions[partition] = unstored.popleft().positions[partition]
