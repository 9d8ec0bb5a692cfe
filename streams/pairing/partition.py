"""One partition's state: decode, join, compare, window. Pure; the consumer loop stands elsewhere.

State at a position is a function of the log alone, so reading again from a committed offset gives
the same rows. Every event read ends in exactly one place: paired, single, unmatched, duplicate,
late or invalid, counted in the window rows themselves.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Final

from understudy.analyzers.aggregate.window_sums import SliceKey, number_rows
from understudy.analyzers.compare.language import normalize_tag
from understudy.schemas.events import (
    Event,
    InvalidEvent,
    InvalidReason,
    decode_side,
    encode_event,
    event_key,
    peek,
    request_time_ms,
)
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.comparing import (
    UNDETERMINED,
    Comparisons,
    compare_requests,
    control_window_columns,
    merge_comparisons,
    request_language,
    window_columns,
)
from understudy.streams.pairing.join import (
    Duplicate,
    Entry,
    Join,
    Joined,
    Side,
    UnmatchedReason,
)
from understudy.streams.pairing.offsets import CommitMetadata, CommitRule, SafeCommit
from understudy.streams.pairing.open_windows import OpenWindows, WatermarkSteps
from understudy.streams.pairing.policy import PairingPolicy
from understudy.streams.pairing.records import (
    DeadLetter,
    Outcome,
    RecordBatch,
    Tally,
    UnmatchedSide,
)

BEFORE_ANY_WATERMARK: Final = 0
"""What is invalid before any event has set the clock counts in the window of 1970."""

PART_RECORDS: Final = 256
"""Records that are read and compared together: few enough to stay in a core's cache."""

_BEFORE_ALL_TIME = -(1 << 63)
_MODES = ("shadow", "interleave", "canary", "ab")


@dataclass(slots=True)
class _Batch:
    """What is gathered while a batch is read."""

    outcome: Outcome = field(default_factory=Outcome)
    joined: Joined = field(default_factory=Joined)
    steps: WatermarkSteps = field(default_factory=WatermarkSteps)


class Partition:
    """The pairing state of one partition of the events topic."""

    def __init__(
        self,
        number: int,
        policy: PairingPolicy,
        *,
        start_offset: int = 0,
        resumed: CommitMetadata | None = None,
    ) -> None:
        """Start at an offset, with what was committed there if anything was."""
        self.number = number
        self.policy = policy
        self.position = start_offset
        self.tally = Tally()
        self.settled_until_ms = resumed.settled_until_ms if resumed else None
        self._settled_before_ms = _end_of_window(self.settled_until_ms, policy.window_ms)
        self.settled_position = resumed.position if resumed else 0
        self.dead_letters_from = self.settled_position
        """Dead letters below this offset have been sent by an earlier run."""
        self.watermark_ms = self.settled_until_ms
        self._join = Join(policy.max_join_bytes)
        self._windows = OpenWindows(number, policy.window_s, policy.allowed_lateness_ms)
        self._commits = CommitRule(policy.horizon_ms)
        self._commits.passed(start_offset, self.watermark_ms, 0)

    @property
    def waiting_sides(self) -> int:
        """Sides that wait for a partner."""
        return self._join.waiting_sides

    @property
    def open_windows(self) -> int:
        """Slices whose window may still change."""
        return len(self._windows)

    def process(self, records: RecordBatch) -> Outcome:
        """Take the next records of the partition, in order."""
        batch = _Batch()
        for part in records.parts(PART_RECORDS):
            self._read(part, batch)
            self._measure(batch)
        if self.watermark_ms is not None:
            self._join.expire(self.watermark_ms - self.policy.join_timeout_ms, batch.joined)
        self._measure(batch)
        self._count(batch)
        if self.watermark_ms is not None and batch.steps.values_ms:
            self._windows.close(self.watermark_ms, batch.steps)
        self._commits.passed(self.position, self.watermark_ms, self.waiting_sides)
        return batch.outcome

    def finish(self) -> Outcome:
        """End of the input: what still waits is unmatched."""
        batch = _Batch()
        self._join.forget_all(batch.joined)
        self._measure(batch)
        self._count(batch)
        return batch.outcome

    def take_rows(self) -> list[WindowRow]:
        """Window rows that closed or changed since the last call."""
        return self._windows.take_rows(self.position)

    def take_closed_rows(self) -> list[WindowRow]:
        """Window rows that closed since the last call; the open ones stay for later."""
        return self._windows.take_closed_rows()

    def safe_commit(self, flushed_to: int) -> SafeCommit | None:
        """What may be committed once every sink holds all before `flushed_to`.

        None while an earlier run had flushed further: its commit says more.
        """
        if flushed_to < self.settled_position:
            return None
        return self._commits.safe_commit(flushed_to)

    # Reading

    def _read(self, records: RecordBatch, batch: _Batch) -> None:
        """Decode, check against the watermark before each record, join."""
        join, joined, steps = self._join, batch.joined, batch.steps
        max_bytes, skew_ms = self.policy.max_event_bytes, self.policy.max_clock_skew_ms
        timeout_ms = self.policy.join_timeout_ms
        settled_ms, new_from = self._settled_before_ms, self.settled_position
        watermark = self.watermark_ms
        for payload, offset, timestamp_ms, key in zip(
            records.payloads, records.offsets, records.timestamps_ms, records.keys, strict=True
        ):
            side: Side | None = None
            before = watermark
            try:
                event, wanted = decode_side(payload, max_bytes)
                side = Side(event, offset)
                time_ms = request_time_ms(event)
                if time_ms > timestamp_ms + skew_ms:
                    raise _clock_ahead(time_ms - timestamp_ms)
                if before is None or time_ms > before:
                    watermark = steps.rise(time_ms, offset + 1)
                    before = time_ms if before is None else before
                oldest_ms = before - timeout_ms
                if time_ms < oldest_ms or (time_ms < settled_ms and offset >= new_from):
                    self._late(side, before, batch)
                else:
                    join.add(side, wanted, time_ms, len(payload or b""), oldest_ms, joined)
            except InvalidEvent as error:
                letter = DeadLetter(offset, error.reason, error.detail, key, payload)
                self._invalid(letter, side, before, batch)
            except Duplicate:
                self._duplicate(Side(event, offset), time_ms)
        self.watermark_ms = watermark
        self._note_read(records)

    def _note_read(self, records: RecordBatch) -> None:
        if len(records):
            self.position = records.offsets[-1] + 1
            self.tally.read += len(records)
            self.tally.read_bytes += sum(map(len, filter(None, records.payloads)))

    def _was_settled(self, time_ms: int) -> bool:
        """Whether an earlier run closed and flushed the window of this time."""
        return time_ms < self._settled_before_ms

    def _accounting_window(self, watermark_ms: int, offset: int) -> int | None:
        """Where late and invalid events count; None where an earlier run has counted them."""
        start = self._windows.start_of(watermark_ms)
        if not self._was_settled(start):
            return start
        return None if offset < self.settled_position else self._settled_before_ms

    def _late(self, side: Side, watermark_ms: int, batch: _Batch) -> None:
        start = self._accounting_window(watermark_ms, side.offset)
        if start is None:
            self.tally.settled += 1
            return
        self.tally.late += 1
        language = _tagged_language(side.event)
        self._windows.count(_slice(side.event, language, start), "events_late")
        batch.outcome.unmatched.append(UnmatchedSide(side, UnmatchedReason.LATE, language, start))

    def _invalid(
        self, letter: DeadLetter, side: Side | None, watermark_ms: int | None, batch: _Batch
    ) -> None:
        if letter.offset >= self.dead_letters_from:
            batch.outcome.dead_letters.append(letter)
        labels = _labels(side.event if side else None, letter)
        self.tally.invalid += 1
        start = self._accounting_window(watermark_ms or BEFORE_ANY_WATERMARK, letter.offset)
        if start is not None:
            self._windows.count(SliceKey(*labels, start), "events_invalid")

    def _duplicate(self, side: Side, time_ms: int) -> None:
        if self._was_settled(time_ms):
            self.tally.settled += 1
            return
        start = self._windows.start_of(time_ms)
        self.tally.duplicate += 1
        self._windows.count(
            _slice(side.event, _tagged_language(side.event), start), "events_duplicate"
        )

    # Handing on

    def _measure(self, batch: _Batch) -> None:
        """Compare what is complete, then forget the texts."""
        entries = []
        for entry in batch.joined.complete:
            if self._was_settled(entry.request_time_ms):
                self.tally.settled += len(entry.sides)
                entry.let_go()
            else:
                entries.append(entry)
        batch.joined.complete.clear()
        if entries:
            self._compare(entries, batch)

    def _compare(self, entries: list[Entry], batch: _Batch) -> None:
        """Compare all at once; if an analyzer raises, one by one, to find which."""
        try:
            batch.outcome.comparisons += compare_requests(entries, self.policy.compare)
        except Exception as error:
            if len(entries) > 1:
                middle = len(entries) // 2
                self._compare(entries[:middle], batch)
                self._compare(entries[middle:], batch)
            else:
                self._poison(entries[0], error, batch)
            return
        for entry in entries:
            entry.let_go()

    def _count(self, batch: _Batch) -> None:
        """Add what the batch brought to its windows."""
        batch.outcome.comparisons = merge_comparisons(batch.outcome.comparisons)
        for comparisons in batch.outcome.comparisons:
            self._add(comparisons)
        for side, reason in batch.joined.unmatched:
            self._unmatched(side, reason, batch)

    def _add(self, comparisons: Comparisons) -> None:
        """Add measured requests to their windows."""
        requests = comparisons.requests
        times_ms = requests.request_time_ms
        rows, slices = number_rows(
            requests.rollout_id,
            requests.mode,
            requests.language,
            requests.workflow,
            (times_ms - times_ms % self.policy.window_ms).tolist(),
        )
        self._windows.add(slices, rows, window_columns(comparisons))
        if comparisons.control is not None:
            controls = rows[comparisons.control_rows]
            self._windows.add(slices, controls, control_window_columns(comparisons))
        sides = int(comparisons.sides.sum())
        if comparisons.pair is None:
            self.tally.single += sides
        else:
            self.tally.pairs += len(comparisons)
            self.tally.paired += sides

    def _poison(self, entry: Entry, error: Exception, batch: _Batch) -> None:
        """Send the sides of a request that an analyzer could not take to dead letters."""
        detail = traceback.format_exception_only(error)[-1].strip()
        start = self._windows.start_of(entry.request_time_ms)
        for side in entry.sides.values():
            event = side.event
            self.tally.invalid += 1
            self._windows.count(_slice(event, _tagged_language(event), start), "events_invalid")
            key = event_key(event.rollout_id, event.pair_id).encode()
            batch.outcome.dead_letters.append(
                DeadLetter(
                    side.offset, InvalidReason.ANALYZER_FAILED, detail, key, encode_event(event)
                )
            )
        entry.let_go()

    def _unmatched(self, side: Side, reason: UnmatchedReason, batch: _Batch) -> None:
        event = side.event
        time_ms = request_time_ms(event)
        if self._was_settled(time_ms):
            self.tally.settled += 1
            return
        start = self._windows.start_of(time_ms)
        self.tally.unmatched += 1
        language = request_language((event,))
        self._windows.count(_slice(event, language, start), f"events_unmatched_{event.side}")
        batch.outcome.unmatched.append(UnmatchedSide(side, reason, language, start))


def _end_of_window(time_ms: int | None, window_ms: int) -> int:
    """The first millisecond after the window of a time; before all time when there is none."""
    return _BEFORE_ALL_TIME if time_ms is None else time_ms - time_ms % window_ms + window_ms


def _slice(event: Event, language: str, window_start_ms: int) -> SliceKey:
    return SliceKey(event.rollout_id, event.mode, language, event.workflow or "", window_start_ms)


def _tagged_language(event: Event) -> str:
    return normalize_tag(event.language) if event.language else UNDETERMINED


def _clock_ahead(by_ms: int) -> InvalidEvent:
    return InvalidEvent(
        InvalidReason.CLOCK_AHEAD,
        f"request_time lies {by_ms / 1000:.1f} s after the record's timestamp",
    )


def _labels(event: Event | None, letter: DeadLetter) -> tuple[str, str, str, str]:
    """Rollout, mode, language and workflow of an invalid event, as far as it tells."""
    if event is not None:
        return event.rollout_id, event.mode, _tagged_language(event), event.workflow or ""
    if letter.reason is InvalidReason.TOO_LARGE:
        return _rollout_of(letter.key), "", UNDETERMINED, ""
    fields = peek(letter.payload)
    rollout_id = _text(fields.get("rollout_id"), 128) or _rollout_of(letter.key)
    mode = fields.get("mode")
    language = _text(fields.get("language"), 35)
    return (
        rollout_id,
        mode if mode in _MODES else "",
        normalize_tag(language) if language else UNDETERMINED,
        _text(fields.get("workflow"), 128),
    )


def _text(value: object, limit: int) -> str:
    return value if isinstance(value, str) and len(value) <= limit else ""


def _rollout_of(key: bytes | None) -> str:
    """The rollout that a record's key names, if it has the form of ours."""
    head, slash, _ = (key or b"").partition(b"/")
    return head.decode("utf-8", "replace")[:128] if slash else ""
