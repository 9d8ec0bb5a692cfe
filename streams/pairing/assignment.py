"""A partition that a consumer holds, and the store that its results go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.pairing.record_placement import PlacementCounts
from understudy.streams.pairing.records import JointOutput

NOTHING_YET: Final = -1
"""Before every offset."""


class ResultStore(Protocol):
    """Where comparisons, unmatched sides and window rows go: ClickHouse."""

    def put(self, output: JointOutput) -> None:
        """Queue the output of batches. Raises `SinkBusy` when the buffer is full."""

    def put_rows(self, rows: Sequence[DrawnRow], positions: Mapping[int, int]) -> None:
        """Queue window rows of some partitions; all before their positions has then been queued.

        Raises `SinkBusy`.
        """

    def stored(self, partition: int) -> int:
        """Return the position up to which everything queued is stored; -1 when nothing is."""

    def clear(self, partition: int) -> None:
        """Start again for a partition, or give it up; what was stored counts no more."""

    def flush(self, deadline_s: float) -> bool:
        """Whether everything queued has been stored in time."""

    @property
    def healthy(self) -> bool:
        """Whether the last insert succeeded."""

    @property
    def inserts(self) -> int:
        """How many inserts have succeeded."""


@dataclass(slots=True)
class ConsumerTotals:
    """What a worker has done since it started."""

    lost_records: int = 0
    unreadable_records: int = 0
    """In batches that cannot be unpacked; each counts as invalid."""
    rewinds: int = 0
    commits: int = 0
    placement: PlacementCounts = field(default_factory=PlacementCounts)
    """Among the events that were looked at."""


@dataclass(slots=True)
class Assignment:
    """A partition that this worker holds."""

    state: PartitionState
    committed: int
    """The offset last sent to the group; negative for none."""
    acknowledged: tuple[int, str | None] | None = None
    """The commit that the group is known to have: offset and metadata."""
    published: int = NOTHING_YET
    """The position of the rows that the broker has, with all dead letters before."""
    published_before_rewind: int = NOTHING_YET
    """Rows up to here were published before a rewind: no decision waits for them."""
    jumps: list[tuple[int, int]] = field(default_factory=list)
    """Offsets without a record, from and to, of which it is not known yet why they have none."""
    needs_restart: bool = False
    """The log is another one than the state's: nothing may be read before a restart."""
    is_unread: bool = True
    """No record has been read since the start or a rewind."""
    end_reached: int = NOTHING_YET
    """Where the log ended when a fetch last came to its end."""
    missing_results: bool = False
    """Results were left out while the store was unavailable; they are to be read again."""
    inserts_when_left_out: int = 0
    """How many inserts had succeeded when results were left out."""
    held: Callable[[], None] | None = None
    """The results that the store has no room for; the partition is paused until it has."""

    @property
    def number(self) -> int:
        """The partition's number."""
        return self.state.number
