"""The state that partitions of all sources share: watermark, open windows, tally, safe commits.

The subclasses read records: `Partition` joins events, `FeedbackPartition` takes feedback as it is,
`EvaluationPartition` evaluations.
Pure: state at a position is a function of the log alone, so reading again from a committed offset
gives the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal

import msgspec

from understudy.analyzers.compare.language_tags import UNDETERMINED
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.events import Event, InvalidEvent, InvalidReason, peek
from understudy.schemas.feedback import Feedback
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import Source
from understudy.streams.pairing.commit_rule import CommitMetadata, CommitRule, SafeCommit
from understudy.streams.pairing.open_windows import (
    NOTHING_WAITS,
    ClosedWindow,
    OpenWindows,
    WatermarkSteps,
)
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import (
    BatchOutput,
    DeadLetter,
    JointOutput,
    RecordBatch,
    Tally,
)
from understudy.streams.pairing.request_language import named_language, tag_named
from understudy.streams.pairing.windows_messages import ChangedRows

BEFORE_ANY_WATERMARK: Final = 0
"""Records that are invalid before any valid one counts in the window of 1970."""

AnyRecord = Event | Feedback | Evaluation
"""What partitions are read into."""
_BEFORE_ALL_TIME: Final = -(1 << 63)
_MODES: Final = ("shadow", "interleave", "canary", "ab")


class PartitionState(ABC):
    """The state of one partition of one topic; records in, what they brought out."""

    source: ClassVar[Source]

    def __init__(
        self,
        number: int,
        policy: PairingPolicy,
        *,
        start_offset: int = 0,
        resumed: CommitMetadata | None = None,
        is_truncated: bool = False,
    ) -> None:
        """Start at an offset, with what was committed there if anything was.

        It is truncated where records before are missing of which nothing was committed.
        """
        self.number = number
        self.policy = policy
        self.position = start_offset
        self.gaps = resumed.gaps_before if resumed else 0
        """Offsets before the position that hold no record, as far as this is known."""
        self.tally = Tally()
        closed_until_ms = resumed.mark_closed(policy).closed_until_ms if resumed else None
        self._closed_before_ms = _end_of_window(closed_until_ms, policy.window_ms)
        self.is_truncated = is_truncated
        """No record of what is left of the log has been read yet; see `log_begins_at`."""
        self.complete_from_ms = resumed.complete_from_ms if resumed else None
        self._written_from_ms = max(
            self._closed_before_ms, self.complete_from_ms or _BEFORE_ALL_TIME
        )
        self.flushed_position = resumed.position if resumed else 0
        self.dead_letters_from = self.flushed_position
        """Dead letters below this offset have been sent by an earlier run."""
        self.watermark_ms = resumed.closed_until_ms if resumed else None
        self._windows = OpenWindows(
            number, policy.window_s, policy.allowed_lateness_ms, self.source
        )
        self._commits = CommitRule(policy.horizon_ms)
        self._commits.passed(start_offset, self.watermark_ms, 0, self.gaps)
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Create the state that reading this kind of record needs besides."""

    @classmethod
    def reads_from(cls, start_offset: int, first_offset: int) -> int:
        """Return where reading begins so that records count from `start_offset` on.

        The log begins at `first_offset`.
        """
        return start_offset

    def begin_reading_at(self, offset: int) -> None:
        """Read from an offset on that `reads_from` returned."""
        self.position = offset

    @abstractmethod
    def process(self, records: RecordBatch) -> BatchOutput:
        """Take the next records of the partition, in order."""

    @classmethod
    def process_together(cls, taken: Sequence[tuple[PartitionState, RecordBatch]]) -> JointOutput:
        """Take the next records of several partitions, each comes out as it would alone."""
        return JointOutput({state.number: state.process(records) for state, records in taken})

    @property
    def waiting_sides(self) -> int:
        """Sides that wait for a partner."""
        return 0

    @property
    def capture_bytes(self) -> int:
        """Memory of what is kept to be captured."""
        return 0

    @property
    def open_windows(self) -> int:
        """Slices whose window may still change."""
        return len(self._windows)

    def draw_rows(self) -> list[DrawnRow]:
        """Window rows that closed or changed since the last call."""
        return self._windows.draw(self.position, self._unresolved())

    def changed_rows(self) -> ChangedRows:
        """The same, with what their messages say of them."""
        return ChangedRows(
            self.draw_rows(), self.source, self.number, self.position, self.watermark_ms
        )

    def _unresolved(self) -> Mapping[SliceKey, UnresolvedCounts]:
        """The requests that wait for a side, by slice and window."""
        return NOTHING_WAITS

    def draw_closed_rows(self) -> list[DrawnRow]:
        """Window rows that closed since the last call; the open ones stay for later."""
        return self._windows.draw_closed()

    def take_closed(self) -> list[ClosedWindow]:
        """The sums of windows that closed since the last call, instead of their rows."""
        return self._windows.take_closed()

    def take_all(self) -> list[ClosedWindow]:
        """The same, and those of all open windows: the input has ended."""
        return self._windows.take_all(self.position)

    def safe_commit(self, flushed_to: int) -> SafeCommit | None:
        """What may be committed once every sink holds all before `flushed_to`.

        None while an earlier run had flushed further: its commit says more.
        """
        if flushed_to < self.flushed_position:
            return None
        safe = self._commits.safe_commit(flushed_to)
        if safe is None or self.complete_from_ms is None:
            return safe
        metadata = msgspec.structs.replace(safe.metadata, complete_from_ms=self.complete_from_ms)
        return SafeCommit(safe.offset, metadata)

    def _note_read(self, records: RecordBatch) -> None:
        if len(records):
            before, self.position = self.position, records.offsets[-1] + 1
            self.gaps += self.position - before - len(records)
            self.tally.read += len(records)
            self.tally.read_bytes += sum(map(len, filter(None, records.payloads)))

    def _end_batch(self, steps: WatermarkSteps) -> None:
        """Close what the watermark has left behind, and note what may be committed here."""
        if self.watermark_ms is not None and steps.values_ms:
            self._windows.close(self.watermark_ms, steps)
        self._commits.passed(self.position, self.watermark_ms, self.waiting_sides, self.gaps)

    def log_begins_at(self, timestamp_ms: int) -> int:
        """Write no window that may have begun before the first record that is read.

        Returns from when on windows are written.
        """
        self.is_truncated = False
        self.complete_from_ms = self.policy.complete_from_ms(timestamp_ms)
        self._written_from_ms = max(self._closed_before_ms, self.complete_from_ms)
        return self.complete_from_ms

    def pass_unreadable(self, first: int, end: int, why: str) -> BatchOutput:
        """Step over a batch that cannot be unpacked; one dead letter names all its records.

        A batch of some kilobytes may hold millions of records, hence not a dead letter for each.
        """
        outcome, records = BatchOutput(), end - first
        if first >= self.dead_letters_from:
            detail = f"offsets {first} to {end - 1}: {why}"
            letter = DeadLetter(first, InvalidReason.UNREADABLE, detail, None, None)
            outcome.dead_letters.append(letter)
        self.tally.read += records
        self.tally.invalid += records
        start = self._accounting_window(self.watermark_ms or BEFORE_ANY_WATERMARK, first)
        if start is not None:
            key = SliceKey("", "", UNDETERMINED, "", start)
            self._windows.count(key, "events_invalid", records)
        self.position = end
        self._end_batch(WatermarkSteps())
        return outcome

    # Records that are not measured

    def _is_closed(self, time_ms: int) -> bool:
        """Whether an earlier run closed and flushed the window of this time."""
        return time_ms < self._closed_before_ms

    def _is_unwritten(self, time_ms: int) -> bool:
        """Whether the window of this time is closed, or incomplete in what is left of the log."""
        return time_ms < self._written_from_ms

    def _count_unwritten(self, time_ms: int, records: int = 1) -> None:
        """Count records that go into no window, by the reason."""
        if self._is_closed(time_ms):
            self.tally.replayed += records
        else:
            self.tally.skipped += records

    def _accounting_window(self, watermark_ms: int, offset: int) -> int | None:
        """Where late and invalid records count; None in a window that is not written again."""
        start = self._windows.start_of(watermark_ms)
        if self.is_truncated:
            return None
        if not self._is_unwritten(start):
            return start
        if offset < self.flushed_position or self._is_unwritten(self._closed_before_ms):
            return None
        return self._closed_before_ms

    def _count_late(self, record: Event | Feedback, watermark_ms: int, offset: int) -> int | None:
        """Count a late record; the window that does, None where an earlier run has."""
        start = self._accounting_window(watermark_ms, offset)
        if start is None:
            self._count_unwritten(watermark_ms)
            return None
        self.tally.late += 1
        self._windows.count(slice_of(record, named_language(record), start), "events_late")
        return start

    def _count_ended(
        self, ended: Literal["duplicate", "superseded"], record: Event | Feedback, time_ms: int
    ) -> None:
        """Count a record that is not measured, in the window of its own time or its pair's."""
        if self._is_unwritten(time_ms):
            self._count_unwritten(time_ms)
            return
        start = self._windows.start_of(time_ms)
        setattr(self.tally, ended, getattr(self.tally, ended) + 1)
        self._windows.count(slice_of(record, named_language(record), start), f"events_{ended}")

    def _count_disagreeing(
        self, letter: DeadLetter, event: Event, time_ms: int, outcome: BatchOutput
    ) -> None:
        """Count an event that disagrees with its pair, in the window of its own time.

        Which window that is must not depend on the pair: a worker that reads again from between
        the two does not meet it. The window is open, since the event is not late.
        """
        if letter.offset >= self.dead_letters_from:
            outcome.dead_letters.append(letter)
        if self._is_unwritten(time_ms):
            self._count_unwritten(time_ms)
            return
        self.tally.invalid += 1
        slice_key = slice_of(event, named_language(event), self._windows.start_of(time_ms))
        self._windows.count(slice_key, "events_invalid")

    def _count_invalid(
        self,
        letter: DeadLetter,
        record: AnyRecord | None,
        watermark_ms: int | None,
        outcome: BatchOutput,
    ) -> None:
        """Count what goes to dead letters, in the slice that it names as far as it can be read."""
        if letter.offset >= self.dead_letters_from:
            outcome.dead_letters.append(letter)
        self.tally.invalid += 1
        start = self._accounting_window(watermark_ms or BEFORE_ANY_WATERMARK, letter.offset)
        if start is not None:
            self._windows.count(SliceKey(*_labels(record, letter), start), "events_invalid")


def _end_of_window(time_ms: int | None, window_ms: int) -> int:
    """The first millisecond after the window of a time; before all time when there is none."""
    return _BEFORE_ALL_TIME if time_ms is None else time_ms - time_ms % window_ms + window_ms


def slice_of(record: AnyRecord, language: str, window_start_ms: int) -> SliceKey:
    """The slice that a record belongs to, in a window."""
    workflow = record.workflow or ""
    return SliceKey(record.rollout_id, record.mode, language, workflow, window_start_ms)


def clock_ahead(field: str, by_ms: int) -> InvalidEvent:
    """What to raise when a record's time lies after the time at which the broker stored it."""
    return InvalidEvent(
        InvalidReason.CLOCK_AHEAD, f"{field} lies {by_ms / 1000:.1f} s after the record's timestamp"
    )


def _labels(record: AnyRecord | None, letter: DeadLetter) -> tuple[str, str, str, str]:
    """Rollout, mode, language and workflow of an invalid record, as far as it tells."""
    if record is not None:
        return record.rollout_id, record.mode, named_language(record), record.workflow or ""
    if letter.reason is InvalidReason.TOO_LARGE:
        return _rollout_of(letter.key), "", UNDETERMINED, ""
    fields = peek(letter.payload)
    rollout_id = _text(fields.get("rollout_id"), 128) or _rollout_of(letter.key)
    mode = fields.get("mode")
    language = _text(fields.get("language"), 35)
    return (
        rollout_id,
        mode if mode in _MODES else "",
        tag_named(language),
        _text(fields.get("workflow"), 128),
    )


def _text(value: object, limit: int) -> str:
    return value if isinstance(value, str) and len(value) <= limit else ""


def _rollout_of(key: bytes | None) -> str:
    """The rollout that a record's key names, if it has the form of ours."""
    head, slash, _ = (key or b"").partition(b"/")
    return head.decode("utf-8", "replace")[:128] if slash else ""
