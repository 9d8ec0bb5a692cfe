"""Records that go into a partition's state, and the output of a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from understudy.schemas.evaluations import Evaluation
from understudy.schemas.events import InvalidEvent, InvalidReason
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.join import Side, UnmatchedReason

if TYPE_CHECKING:
    from understudy.schemas.redaction.redact import Redacted


class Record(NamedTuple):
    """One record as it came."""

    offset: int
    timestamp_ms: int
    payload: bytes | None
    key: bytes | None

    def dead_letter(self, error: InvalidEvent) -> DeadLetter:
        """What becomes of it where it cannot be used."""
        return DeadLetter(self.offset, error.reason, error.detail, self.key, self.payload)


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition, as columns of equal length."""

    payloads: Sequence[bytes | None]
    offsets: Sequence[int]
    timestamps_ms: Sequence[int]
    """Kafka's timestamps of the records, epoch milliseconds."""
    keys: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.payloads)

    def one_by_one(self) -> Iterator[Record]:
        """The records, in their order."""
        return map(Record, self.offsets, self.timestamps_ms, self.payloads, self.keys)

    def split_at(self, offset: int) -> tuple[RecordBatch, RecordBatch]:
        """The records before an offset, and those from it on."""
        place = bisect_left(self.offsets, offset)
        before, after = slice(None, place), slice(place, None)
        return self._part(before), self._part(after)

    def _part(self, part: slice) -> RecordBatch:
        return RecordBatch(
            self.payloads[part], self.offsets[part], self.timestamps_ms[part], self.keys[part]
        )

    def parts(self, records: int) -> Iterator[RecordBatch]:
        """The same records, so many at a time."""
        for start in range(0, len(self), records):
            yield self._part(slice(start, start + records))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used, with its offset."""

    offset: int
    reason: InvalidReason
    detail: str
    key: bytes | None
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class UnmatchedSide:
    """A side that was never joined."""

    side: Side
    reason: UnmatchedReason
    language: str
    window_start_ms: int


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """An evaluation that is no copy of an earlier one, or says why there is none."""

    offset: int
    evaluation: Evaluation
    explanation: Redacted | None = None
    """What it says in words, where that may be stored."""


@dataclass(slots=True)
class BatchOutput:
    """The output of a batch, to be handed to the sinks."""

    comparisons: list[Comparisons] = field(default_factory=list)
    unmatched: list[UnmatchedSide] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    captured: list[CapturedPair] = field(default_factory=list)
    evaluations: list[JudgedPair] = field(default_factory=list)


@dataclass(slots=True)
class JointOutput:
    """The output of batches of several partitions, which were measured together."""

    batches: dict[int, BatchOutput]
    """By partition."""
    comparisons: list[Comparisons] = field(default_factory=list)
    """Of all partitions; each row names its own."""

    def of(self, partitions: Collection[int]) -> JointOutput:
        """The output of some of the partitions."""
        if self.batches.keys() <= set(partitions):
            return self
        batches = {number: self.batches[number] for number in partitions}
        parts = (comparisons.of_partitions(partitions) for comparisons in self.comparisons)
        return JointOutput(batches, [part for part in parts if len(part)])


@dataclass(slots=True)
class Tally:
    """How many events had which outcome since this state was created, for logs and metrics.

    Records that are read again count again; window rows count each once.
    """

    read: int = 0
    read_bytes: int = 0
    paired: int = 0
    pairs: int = 0
    single: int = 0
    unmatched: int = 0
    duplicate: int = 0
    superseded: int = 0
    late: int = 0
    invalid: int = 0
    replayed: int = 0
    """Records read again, of windows that an earlier run had closed and stored."""
    skipped: int = 0
    """Records of windows that are not written, since the log no longer has all of their records."""
    captured: int = 0
    """Pairs whose texts were captured."""
    capture_failures: int = 0
    """Pairs that were left out there, since they could not be redacted."""
    capture_dropped: int = 0
    """Pairs that were left out there, since there was no memory for their texts."""

    def accounted(self) -> int:
        """Events that have ended somewhere; `read` less the sides still waiting."""
        return (
            self.paired + self.single + self.unmatched + self.duplicate
            + self.superseded + self.late + self.invalid + self.replayed
            + self.skipped
        )  # fmt: skip
