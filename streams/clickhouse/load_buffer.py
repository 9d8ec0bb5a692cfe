"""A bounded buffer of rows to insert, batched and acknowledged in order. No clock, no thread.

An offer brings blocks of one or several tables and, per partition, the position up to which
everything has then been offered. Blocks of a table are gathered into batches. An offer is stored
once all its blocks are, and a partition's position moves only over stored offers, in the order in
which they came. The callers choose the keys of partitions.

Rows may be offered before they are encoded. Those that come later join what still waits, as one
block; of a table that keeps the latest version of each row they take the place of earlier versions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

from understudy.streams.clickhouse.native_format import Block

PartitionKey = Hashable
"""The key of a partition; callers that share a buffer use different ones."""


class WaitingRows(Protocol):
    """Rows of a table that are encoded when they are sent."""

    @property
    def table(self) -> str:
        """Where they go."""

    @property
    def rows(self) -> int:
        """How many wait."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they take, about."""

    @property
    def is_full(self) -> bool:
        """Whether those that are offered later are to wait by themselves."""

    def join(self, later: Any) -> None:
        """Take in rows of the same kind that were offered later."""

    @property
    def payload(self) -> bytes:
        """All of them in ClickHouse's Native format."""


Insertable = Block | WaitingRows

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
    """Of rows that wait, about, those being inserted included."""
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


@dataclass(slots=True)
class _Waiting:
    """What is to be inserted, the offers that it is of, and the time at which the first came."""

    content: Insertable
    offers: list[_Offer]
    since_s: float


@dataclass(frozen=True, slots=True)
class InsertBatch:
    """Blocks of one table, for one insert; each names its own columns."""

    table: str
    rows: int
    nbytes: int
    """Bytes that it holds in the buffer."""
    _waiting: Sequence[_Waiting]

    @property
    def payload(self) -> bytes:
        """The blocks end to end, in ClickHouse's Native format."""
        return b"".join(one.content.payload for one in self._waiting)


@dataclass(slots=True)
class _Group:
    """What may share an insert, oldest first."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    rows: int = 0
    nbytes: int = 0

    def add(self, content: Insertable, offer: _Offer, now_s: float) -> None:
        """Take something in, with what waits already where it is not encoded."""
        last = self.waiting[-1] if self.waiting else None
        if (
            last is None
            or isinstance(content, Block)
            or isinstance(last.content, Block)
            or last.content.is_full
        ):
            self.waiting.append(_Waiting(content, [offer], now_s))
            self._count(content, 1)
            return
        self._count(last.content, -1)
        last.content.join(content)
        last.offers.append(offer)
        self._count(last.content, 1)

    def _count(self, content: Insertable, sign: int) -> None:
        self.rows += sign * content.rows
        self.nbytes += sign * content.nbytes

    def take(self, policy: LoadPolicy) -> list[_Waiting]:
        """The oldest up to the limits of a batch, at least one."""
        taken: list[_Waiting] = []
        rows = nbytes = 0
        while self.waiting and rows < policy.batch_rows and nbytes < policy.batch_bytes:
            one = self.waiting.popleft()
            taken.append(one)
            rows += one.content.rows
            nbytes += one.content.nbytes
            self._count(one.content, -1)
        return taken


class LoadBuffer:
    """Holds rows until they are stored; times are seconds of any steady clock."""

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
        self, blocks: Sequence[Insertable], positions: Mapping[PartitionKey, int], now_s: float
    ) -> bool:
        """Take all of the blocks or, when they do not fit, none.

        What is larger than the whole buffer is taken when nothing else is held.
        """
        filled = [block for block in blocks if block.rows]
        nbytes = sum(block.nbytes for block in filled)
        if self._nbytes and self._nbytes + nbytes > self._policy.buffer_bytes:
            return False
        entry = _Offer(dict(positions), len(filled))
        for partition in entry.positions:
            self._unstored.setdefault(partition, deque()).append(entry)
        for block in filled:
            group = self._groups.setdefault(block.table, _Group())
            before = group.nbytes
            group.add(block, entry, now_s)
            self._nbytes += group.nbytes - before
        self._advance(entry)
        return True

    def take_due(self, now_s: float, *, everything: bool = False) -> InsertBatch | None:
        """The next batch to insert, if one is full or old enough; the one that waits longest.

        It stays in `nbytes` until `stored` is called with it.
        """
        due = [
            (group.waiting[0].since_s, table)
            for table, group in self._groups.items()
            if group.waiting and (everything or self._due_at(group) <= now_s)
        ]
        if not due:
            return None
        table = min(due)[1]
        taken = self._groups[table].take(self._policy)
        rows = sum(one.content.rows for one in taken)
        nbytes = sum(one.content.nbytes for one in taken)
        return InsertBatch(table, rows, nbytes, taken)

    def due_at(self) -> float | None:
        """The time at which the next batch is due, as things stand."""
        return min(
            (self._due_at(group) for group in self._groups.values() if group.waiting), default=None
        )

    def stored(self, batch: InsertBatch) -> None:
        """The batch is in ClickHouse."""
        self._nbytes -= batch.nbytes
        for offer in chain.from_iterable(one.offers for one in batch._waiting):
            offer.blocks_left -= 1
            self._advance(offer)

    def position(self, partition: PartitionKey) -> int:
        """Up to where everything offered is stored; `NOTHING_STORED` when nothing is known."""
        return self._positions.get(partition, NOTHING_STORED)

    def clear(self, partition: PartitionKey) -> None:
        """Start again for a partition; rows that wait are still inserted, but move nothing."""
        self._unstored.pop(partition, None)
        self._positions.pop(partition, None)

    def _due_at(self, group: _Group) -> float:
        full = group.rows >= self._policy.batch_rows or group.nbytes >= self._policy.batch_bytes
        return group.waiting[0].since_s + (0.0 if full else self._policy.batch_age_s)

    def _advance(self, entry: _Offer) -> None:
        for partition in entry.positions:
            unstored = self._unstored.get(partition, ())
            while unstored and unstored[0].blocks_left == 0:
                self._positions[partition] = unstored.popleft().positions[partition]
