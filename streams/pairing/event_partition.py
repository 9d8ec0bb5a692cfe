"""The state of a partition of the events topic: decode, join, compare, window. Pure.

Every event read ends in exactly one place: paired, single, unmatched, duplicate, superseded, late
or invalid, counted in the window rows themselves.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import select
from understudy.analyzers.compare.error_sources import failed_itself
from understudy.analyzers.windows.window_sums import SliceKey, number_rows
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import (
    PAIR,
    Event,
    InvalidEvent,
    InvalidReason,
    decode_side,
    encode_event,
    event_key,
)
from understudy.schemas.measures import lost, lost_errors
from understudy.schemas.turn_sums import TURN_SECTIONS
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.schemas.windows import Source
from understudy.streams.pairing.comparison import (
    Comparisons,
    Requests,
    compare_requests,
    control_window_columns,
    merge_comparisons,
    turn_outcomes,
    window_columns,
)
from understudy.streams.pairing.conversations import Conversations, Turns
from understudy.streams.pairing.earlier_answers import EarlierAnswers
from understudy.streams.pairing.join import (
    Duplicate,
    GivenUp,
    Join,
    JoinOutput,
    RequestSides,
    Side,
    UnmatchedReason,
)
from understudy.streams.pairing.partition_state import (
    PartitionState,
    clock_ahead,
    slice_of,
)
from understudy.streams.pairing.records import BatchOutput, DeadLetter, RecordBatch, UnmatchedSide
from understudy.streams.pairing.request_language import (
    named_language,
    request_language,
    waiting_language,
)
from understudy.streams.pairing.unresolved import unresolved_requests, waiting_slice

PART_RECORDS: Final = 256
"""Records that are read and compared together: few enough to stay in a core's cache."""


@dataclass(slots=True)
class _Batch:
    """What is gathered while a batch is read."""

    outcome: BatchOutput = field(default_factory=BatchOutput)
    joined: JoinOutput = field(default_factory=JoinOutput)
    written_before: list[Comparisons] = field(default_factory=list)
    """Of windows that are not written again; later turns are multiplied with these."""


class Partition(PartitionState):
    """The pairing state of one partition of the events topic."""

    source: ClassVar[Source] = "events"

    def _begin(self) -> None:
        self._join = Join(self.policy)
        self._earlier_answers = EarlierAnswers(self.policy)
        sections = ("turns", *TURN_SECTIONS.values())
        self._conversations = {name: Conversations(name, self.policy) for name in sections}

    @property
    def waiting_sides(self) -> int:
        """Sides that wait for a partner."""
        return self._join.waiting_sides

    def _unresolved(self) -> Mapping[SliceKey, UnresolvedCounts]:
        if self.watermark_ms is None:
            return {}
        counted = unresolved_requests(
            self._join.waiting(), self.watermark_ms, self.policy.window_ms
        )
        return {
            key: one for key, one in counted.items() if not self._is_unwritten(key.window_start_ms)
        }

    def process(self, records: RecordBatch) -> BatchOutput:
        """Take the next records of the partition, in order."""
        batch = _Batch()
        for part in records.parts(PART_RECORDS):
            self._read(part, batch)
            self._measure(batch)
        if self.watermark_ms is not None:
            self._join.expire(self.watermark_ms, batch.joined)
        self._measure(batch)
        self._count(batch)
        if self.watermark_ms is not None:
            for conversations in self._conversations.values():
                conversations.forget(self.watermark_ms, self._join.log_bytes)
            self._earlier_answers.forget(self.watermark_ms, self._join.log_bytes)
        self._end_batch(batch.joined.steps)
        return batch.outcome

    def finish(self) -> BatchOutput:
        """End of the input: what still waits is unmatched."""
        batch = _Batch()
        self._join.evict_all(batch.joined)
        self._measure(batch)
        self._count(batch)
        return batch.outcome

    # Reading

    def _read(self, records: RecordBatch, batch: _Batch) -> None:
        """Decode, check against the watermark before each record, join."""
        join, joined, steps = self._join, batch.joined, batch.joined.steps
        max_bytes, skew_ms = self.policy.max_event_bytes, self.policy.max_clock_skew_ms
        timeout_ms = self.policy.join_timeout_ms
        closed_ms, new_from = self._closed_before_ms, self.flushed_position
        watermark, log_bytes = self.watermark_ms, join.log_bytes
        for payload, offset, timestamp_ms, key in zip(
            records.payloads, records.offsets, records.timestamps_ms, records.keys, strict=True
        ):
            side: Side | None = None
            before = watermark
            try:
                event, wanted = decode_side(payload, max_bytes)
                side = Side(event, offset)
                time_ms = to_epoch_ms(event.request_time)
                if time_ms > timestamp_ms + skew_ms:
                    raise clock_ahead("request_time", time_ms - timestamp_ms)
                if before is None or time_ms > before:
                    watermark = steps.rise(time_ms, offset + 1, log_bytes)
                    before = time_ms if before is None else before
                if time_ms < before - timeout_ms or (time_ms < closed_ms and offset >= new_from):
                    self._late(side, before, batch)
                else:
                    join.add(side, wanted, time_ms, before, joined)
            except InvalidEvent as error:
                letter = DeadLetter(offset, error.reason, error.detail, key, payload)
                if error.reason is InvalidReason.DISAGREES:
                    self._count_disagreeing(letter, event, time_ms, batch.outcome)
                else:
                    known = side.event if side else None
                    self._count_invalid(letter, known, before, batch.outcome)
            except Duplicate:
                self._count_ended("duplicate", event, time_ms)
            if payload:
                log_bytes += len(payload)
                join.log_bytes = log_bytes
        self.watermark_ms = watermark
        self._note_read(records)

    def _late(self, side: Side, watermark_ms: int, batch: _Batch) -> None:
        start = self._count_late(side.event, watermark_ms, side.offset)
        if start is not None:
            late = UnmatchedSide(side, UnmatchedReason.LATE, named_language(side.event), start)
            batch.outcome.unmatched.append(late)

    # Handing on

    def _measure(self, batch: _Batch) -> None:
        """Compare what is complete, then forget the texts."""
        self._earlier_answers.hold_against(batch.joined.complete)
        entries: list[RequestSides] = []
        written_before: list[RequestSides] = []
        for entry in batch.joined.complete:
            if not self._is_unwritten(entry.request_time_ms):
                entries.append(entry)
                continue
            self._count_unwritten(entry.request_time_ms, len(entry.sides))
            if self._meets_later_turns(entry):
                written_before.append(entry)
            else:
                entry.release()
        batch.joined.complete.clear()
        if entries:
            self._compare(entries, batch.outcome.comparisons, batch)
        if written_before:
            self._compare(written_before, batch.written_before, batch)

    def _meets_later_turns(self, entry: RequestSides) -> bool:
        """Whether a request may form pairs of turns that count in windows which are written."""
        reach_ms = self.policy.turn_reach_ms
        return entry.is_turn and entry.request_time_ms >= self._written_from_ms - reach_ms

    def _compare(self, entries: list[RequestSides], into: list[Comparisons], batch: _Batch) -> None:
        """Compare all at once; if an analyzer raises, one by one, to find which."""
        try:
            into += compare_requests(entries, self.policy.compare)
        except Exception as error:
            if len(entries) > 1:
                middle = len(entries) // 2
                self._compare(entries[:middle], into, batch)
                self._compare(entries[middle:], into, batch)
            elif into is batch.outcome.comparisons:
                self._poison(entries[0], error, batch)
            else:
                entries[0].release()
            return
        for entry in entries:
            entry.release()

    def _count(self, batch: _Batch) -> None:
        """Add what the batch brought to its windows."""
        batch.outcome.comparisons = merge_comparisons(batch.outcome.comparisons)
        for comparisons in batch.outcome.comparisons:
            self._add(comparisons)
        for comparisons in merge_comparisons(batch.written_before):
            self._add_turns(comparisons)
        for request in batch.joined.given_up:
            self._give_up(request, batch)
        for attempt in batch.joined.superseded:
            self._count_ended("superseded", attempt.side.event, attempt.request_time_ms)

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
        self._add_turns(comparisons)
        self._leave_slices(requests)
        if comparisons.control is not None:
            controls = rows[comparisons.control_rows]
            self._windows.add(slices, controls, control_window_columns(comparisons))
        sides = int(comparisons.sides.sum())
        if comparisons.pair is None:
            self.tally.single += sides
        else:
            self.tally.pairs += len(comparisons)
            self.tally.paired += sides

    def _add_turns(self, comparisons: Comparisons) -> None:
        """Add the pairs of turns that the requests form with those before, and with each other."""
        rows = np.flatnonzero(comparisons.requests.is_turn)
        if rows.size:
            turns = _turns_of(comparisons, rows, self.policy.window_ms)
            conversations = self._conversations[comparisons.turn_section]
            pairs = conversations.add(turns, self._written_from_ms)
            if pairs is not None:
                self._windows.add(*pairs)

    def _leave_slices(self, requests: Requests) -> None:
        """Draw the slices again in which requests waited that turned out to be of another one."""
        if requests.waiting_language == requests.language:
            return
        for row, language in enumerate(requests.waiting_language):
            if language != requests.language[row]:
                start = self._windows.start_of(int(requests.request_time_ms[row]))
                names = requests.rollout_id[row], requests.mode[row]
                key = SliceKey(*names, language, requests.workflow[row], start)
                self._windows.touch(key)

    def _poison(self, entry: RequestSides, error: Exception, batch: _Batch) -> None:
        """Send the sides of a request that an analyzer could not take to dead letters."""
        detail = traceback.format_exception_only(error)[-1].strip()
        start = self._windows.start_of(entry.request_time_ms)
        if entry.wanted & PAIR == PAIR:
            self._windows.touch(waiting_slice(entry, start))
        for side in entry.sides.values():
            event = side.event
            self.tally.invalid += 1
            self._windows.count(slice_of(event, named_language(event), start), "events_invalid")
            key = event_key(event).encode()
            batch.outcome.dead_letters.append(
                DeadLetter(
                    side.offset, InvalidReason.ANALYZER_FAILED, detail, key, encode_event(event)
                )
            )
        entry.release()

    def _give_up(self, request: GivenUp, batch: _Batch) -> None:
        """Count the sides of a request that never became a pair; one slice takes all of them."""
        sides, time_ms, reason, is_disputed, first = request
        if self._is_unwritten(time_ms):
            self._count_unwritten(time_ms, len(sides))
            return
        events = [side.event for side in sides]
        language, start = request_language(events), self._windows.start_of(time_ms)
        key = slice_of(events[0], language, start)
        for event in events:
            self._windows.count(key, f"events_unmatched_{event.side}")
        if reason is UnmatchedReason.TIMEOUT and not is_disputed:
            for column in _lost(events[0]):
                self._windows.count(key, column)
        if first is not None:
            self._windows.touch(key._replace(language=waiting_language(first)))
        self.tally.unmatched += len(sides)
        batch.outcome.unmatched += (UnmatchedSide(one, reason, language, start) for one in sides)


def _turns_of(comparisons: Comparisons, rows: NDArray[np.intp], window_ms: int) -> Turns:
    """The requests in some rows, as turns."""
    requests = comparisons.requests
    times_ms = requests.request_time_ms[rows]
    starts_ms = (times_ms - times_ms % window_ms).tolist()
    conversation: list[str] = []
    slices: list[SliceKey] = []
    for row, start_ms in zip(rows.tolist(), starts_ms, strict=True):
        rollout_id, mode = requests.rollout_id[row], requests.mode[row]
        conversation.append(f"{rollout_id}/{mode}/{requests.conversation_id[row]}")
        language, workflow = requests.language[row], requests.workflow[row]
        slices.append(SliceKey(rollout_id, mode, language, workflow, start_ms))
    return Turns(
        conversation=conversation,
        slice=slices,
        request_time_ms=times_ms,
        log_bytes=requests.log_bytes[rows],
        offset=requests.offset[rows],
        outcomes=select(turn_outcomes(comparisons), rows.tolist()),
    )


def _lost(event: Event) -> list[str]:
    """The columns that count a request of which only stable or only the candidate came.

    `event` is that side. A control side alone tells nothing: both others are missing.
    """
    if event.side == "control":
        return []
    missing = "candidate" if event.side == "stable" else "stable"
    column = f"pair_{lost(missing)}"
    return [column, f"pair_{lost_errors(missing)}"] if failed_itself(event) else [column]
