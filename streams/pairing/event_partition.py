"""The state of a partition of the events topic: decode, join, compare, window. Pure.

Every event read ends in exactly one place: paired, single, unmatched, duplicate, superseded, late
or invalid, counted in the window rows themselves.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import concatenate, select
from understudy.analyzers.compare.error_sources import failed_itself
from understudy.analyzers.compare.severity import Severities, severities
from understudy.analyzers.windows.turns import TurnOutcomes, turn_pair_columns
from understudy.analyzers.windows.window_sums import (
    SliceKey,
    WindowSums,
    add_batch,
    number_rows,
)
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import (
    CANDIDATE,
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
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.pairing.captures import Captures
from understudy.streams.pairing.comparison import (
    Comparisons,
    Requests,
    compare_requests,
    control_window_columns,
    merge_comparisons,
    turn_outcomes,
    window_columns,
)
from understudy.streams.pairing.conversations import Conversations, TurnPairs, Turns
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
from understudy.streams.pairing.records import (
    BatchOutput,
    DeadLetter,
    JointOutput,
    RecordBatch,
    UnmatchedSide,
)
from understudy.streams.pairing.request_language import (
    named_language,
    request_language,
    waiting_language,
)
from understudy.streams.pairing.unresolved import unresolved_requests, waiting_slice

PART_RECORDS: Final = 1024
"""Records that are read before what they complete is compared: few enough to stay in a core's
cache (2 MB with texts of 1 kB), enough that a call of numpy is shared by hundreds."""
COMPARED_TOGETHER: Final = 400
"""Requests that are compared at once, at least: a part of one partition nearly always completes so
many, and what a comparison costs beside its requests is shared by all of them."""


@dataclass(slots=True)
class _Batch:
    """What is gathered while a batch of one partition is read."""

    state: Partition
    outcome: BatchOutput = field(default_factory=BatchOutput)
    joined: JoinOutput = field(default_factory=JoinOutput)


class Partition(PartitionState):
    """The pairing state of one partition of the events topic."""

    source: ClassVar[Source] = "events"

    def _begin(self) -> None:
        self._join = Join(self.policy)
        self.earlier_answers = EarlierAnswers(self.policy)
        self._captures = Captures(
            self.number,
            self.policy.window_s,
            self.policy.allowed_lateness_ms,
            self.policy.captures,
        )
        sections = ("turns", *TURN_SECTIONS.values())
        self._conversations = {name: Conversations(self.policy) for name in sections}

    @property
    def waiting_sides(self) -> int:
        """Sides that wait for a partner."""
        return self._join.waiting_sides

    @property
    def capture_bytes(self) -> int:
        """Memory of the pairs that may be captured once their windows close."""
        return self._captures.kept_bytes

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
        joint = self.process_together([(self, records)])
        outcome = joint.batches[self.number]
        outcome.comparisons = joint.comparisons
        return outcome

    @classmethod
    def process_together(cls, taken: Sequence[tuple[PartitionState, RecordBatch]]) -> JointOutput:
        """Take the next records of several partitions; each comes out as it would alone."""
        batches = [_Batch(state) for state, _ in taken if isinstance(state, Partition)]
        comparing = _Comparing()
        for batch, (_, records) in zip(batches, taken, strict=True):
            for part in records.parts(PART_RECORDS):
                batch.state._read(part, batch)
                comparing.take(batch)
            batch.state._expire(batch)
            comparing.take(batch)
        comparisons = comparing.finish()
        cls._count(batches, comparisons)
        for batch in batches:
            batch.state._end(batch)
        return JointOutput({one.state.number: one.outcome for one in batches}, comparisons.written)

    @staticmethod
    def _count(batches: Sequence[_Batch], compared: _Compared) -> None:
        """Add what was compared to the windows of its partitions."""
        states = {batch.state.number: batch.state for batch in batches}
        for comparisons in compared.written:
            _add(comparisons, states)
        for comparisons in compared.written_before:
            _add_turns(comparisons, states)

    def finish(self) -> BatchOutput:
        """End of the input: what still waits is unmatched."""
        batch, comparing = _Batch(self), _Comparing()
        self._join.evict_all(batch.joined)
        comparing.take(batch)
        comparisons = comparing.finish()
        self._count([batch], comparisons)
        self._count_unjoined(batch)
        batch.outcome.comparisons = comparisons.written
        self._note_captured(self._captures.close_all(self.position), batch.outcome)
        return batch.outcome

    def _expire(self, batch: _Batch) -> None:
        if self.watermark_ms is not None:
            self._join.expire(self.watermark_ms, batch.joined)

    def _end(self, batch: _Batch) -> None:
        """Count what was not compared, forget what no record can refer to, close windows."""
        self._count_unjoined(batch)
        if self.watermark_ms is not None:
            for conversations in self._conversations.values():
                conversations.forget(self.watermark_ms, self._join.log_bytes)
            self.earlier_answers.forget(self.watermark_ms, self._join.log_bytes)
        steps = batch.joined.steps
        self._end_batch(steps)
        if len(self._captures) and self.watermark_ms is not None and steps.values_ms:
            captured = self._captures.close(self.watermark_ms, steps)
            self._note_captured(captured, batch.outcome)

    def _note_captured(self, captured: list[CapturedPair], outcome: BatchOutput) -> None:
        outcome.captured += captured
        self.tally.captured += len(captured)
        self.tally.capture_failures = self._captures.failures

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
                # Frames of its traceback name it: a cycle, which would keep all records of the part
                # until garbage of old age is collected.
                error.__traceback__ = error.__context__ = None
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

    def take_complete(self, batch: _Batch) -> tuple[list[RequestSides], list[RequestSides]]:
        """Take the complete requests of a batch: those that are written, those of earlier windows.

        Of the latter only turns that may meet later ones are compared.
        """
        self.earlier_answers.take(batch.joined.complete)
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
        return entries, written_before

    def _meets_later_turns(self, entry: RequestSides) -> bool:
        """Whether a request may form pairs of turns that count in windows which are written."""
        reach_ms = self.policy.turn_reach_ms
        return entry.is_turn and entry.request_time_ms >= self._written_from_ms - reach_ms

    def _count_unjoined(self, batch: _Batch) -> None:
        """Count what a batch gave up or replaced."""
        for request in batch.joined.given_up:
            self._give_up(request, batch)
        for attempt in batch.joined.superseded:
            self._count_ended("superseded", attempt.side.event, attempt.request_time_ms)

    def touch_sums(self, key: SliceKey) -> WindowSums:
        """The sums of a slice, to be added to."""
        return self._windows.touch(key)

    def count_sides(self, requests: int, sides: int, *, paired: bool) -> None:
        """Count requests that were compared, in the tally."""
        if paired:
            self.tally.pairs += requests
            self.tally.paired += sides
        else:
            self.tally.single += sides

    def add_turns(self, section: str, turns: Turns) -> TurnPairs | None:
        """Add turns; return the pairs that they form with those before, and with each other."""
        return self._conversations[section].add(turns, self._written_from_ms)

    def capture(
        self, found: Severities, row: int, comparisons: Comparisons, entry: RequestSides
    ) -> None:
        """Keep the texts of a compared request if they may be captured; `row` is its own."""
        self._captures.take(found, row, comparisons, entry)
        self.tally.capture_dropped = self._captures.dropped

    def leave_slices(self, requests: Requests, rows: Iterable[int]) -> None:
        """Draw the slices again in which requests waited that turned out to be of another one."""
        for row in rows:
            start = self._windows.start_of(int(requests.request_time_ms[row]))
            names = requests.rollout_id[row], requests.mode[row]
            language, workflow = requests.waiting_language[row], requests.workflow[row]
            self._windows.touch(SliceKey(*names, language, workflow, start))

    def poison(self, entry: RequestSides, error: Exception, batch: _Batch) -> None:
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


class _Compared(NamedTuple):
    """Comparisons of requests of several partitions."""

    written: list[Comparisons]
    written_before: list[Comparisons]
    """Of windows that are not written again; later turns are multiplied with these."""


class _Comparing:
    """Compares what the batches of several partitions complete, many requests at once."""

    def __init__(self) -> None:
        self._written: list[Comparisons] = []
        self._written_before: list[Comparisons] = []
        self._waiting: list[tuple[RequestSides, _Batch]] = []
        self._waiting_before: list[tuple[RequestSides, _Batch]] = []
        self._states: dict[int, Partition] = {}
        """Those that requests were taken from."""

    def take(self, batch: _Batch) -> None:
        """Take what a batch has completed, and compare it if enough has come together."""
        entries, written_before = batch.state.take_complete(batch)
        self._states[batch.state.number] = batch.state
        self._waiting += [(entry, batch) for entry in entries]
        self._waiting_before += [(entry, batch) for entry in written_before]
        if len(self._waiting) + len(self._waiting_before) >= COMPARED_TOGETHER:
            self._compare_waiting()

    def finish(self) -> _Compared:
        """Compare what is left; all comparisons, in at most one part of each kind."""
        self._compare_waiting()
        return _Compared(merge_comparisons(self._written), merge_comparisons(self._written_before))

    def _compare_waiting(self) -> None:
        """Compare what waits, then forget the texts."""
        EarlierAnswers.hold_together([state.earlier_answers for state in self._states.values()])
        if self._waiting:
            self._compare(self._waiting, self._written)
        if self._waiting_before:
            self._compare(self._waiting_before, self._written_before)
        self._waiting, self._waiting_before = [], []

    def _compare(self, waiting: list[tuple[RequestSides, _Batch]], into: list[Comparisons]) -> None:
        """Compare all at once; if an analyzer raises, one by one, to find which."""
        entries = [entry for entry, _ in waiting]
        partitions = [batch.state.number for _, batch in waiting]
        policy = waiting[0][1].state.policy
        try:
            compared = compare_requests(entries, partitions, policy.compare)
        except Exception as error:
            if len(waiting) > 1:
                middle = len(waiting) // 2
                self._compare(waiting[:middle], into)
                self._compare(waiting[middle:], into)
            elif into is self._written:
                entry, batch = waiting[0]
                batch.state.poison(entry, error, batch)
            else:
                entries[0].release()
            return
        into += compared
        if policy.captures.is_anything and into is self._written:
            _capture(compared, waiting)
        for entry in entries:
            entry.release()


def _capture(
    compared: Sequence[Comparisons], waiting: Sequence[tuple[RequestSides, _Batch]]
) -> None:
    """Hand candidates, with stable where it was asked, to what their partitions capture."""
    for comparisons in compared:
        if comparisons.candidate is None:
            continue
        found = severities(comparisons.candidate, comparisons.stable, comparisons.pair)
        wanted = PAIR if comparisons.pair is not None else CANDIDATE
        own = [(entry, batch) for entry, batch in waiting if entry.wanted & PAIR == wanted]
        for row, (entry, batch) in enumerate(own):
            batch.state.capture(found, row, comparisons, entry)


States = Mapping[int, Partition]


def _add(comparisons: Comparisons, states: States) -> None:
    """Add measured requests to their windows."""
    requests = comparisons.requests
    slices = _slices(requests, states)
    sums = [states[number].touch_sums(key) for number, key in slices.keys]
    add_batch(sums, slices.rows, window_columns(comparisons))
    _add_turns(comparisons, states, slices)
    if comparisons.control is not None:
        controls = slices.rows[comparisons.control_rows]
        add_batch(sums, controls, control_window_columns(comparisons))
    for number, of_partition in _by_partition(requests, np.arange(len(requests))):
        states[number].leave_slices(requests, _moved(requests, of_partition))
        sides = int(comparisons.sides[of_partition].sum())
        paired = comparisons.pair is not None
        states[number].count_sides(len(of_partition), sides, paired=paired)


class _Slices(NamedTuple):
    """What n requests count in."""

    rows: NDArray[np.int64]
    """(n,): which of the keys each is of."""
    keys: list[tuple[int, SliceKey]]
    """Partitions and their slices."""


def _slices(requests: Requests, states: States) -> _Slices:
    """The slices that requests count in once they have been measured."""
    window_ms = next(iter(states.values())).policy.window_ms
    times_ms = requests.request_time_ms
    rows, keys = number_rows(
        zip(
            requests.partition.tolist(), requests.rollout_id, requests.mode, requests.language,
            requests.workflow, (times_ms - times_ms % window_ms).tolist(), strict=True,
        )
    )  # fmt: skip
    return _Slices(rows, [(number, SliceKey(*names)) for number, *names in keys])


def _by_partition(
    requests: Requests, rows: NDArray[np.intp]
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield each partition with its own of some rows, in order."""
    numbers = requests.partition[rows]
    for number in np.unique(numbers).tolist():
        yield number, rows[numbers == number]


def _moved(requests: Requests, rows: NDArray[np.intp]) -> list[int]:
    """The rows of requests that counted as another language while they waited."""
    waiting, language = requests.waiting_language, requests.language
    if waiting == language:
        return []
    return [row for row in rows.tolist() if waiting[row] != language[row]]


def _add_turns(comparisons: Comparisons, states: States, slices: _Slices | None = None) -> None:
    """Add the pairs of turns that the requests form with those before, and with each other."""
    rows = np.flatnonzero(comparisons.requests.is_turn)
    if not rows.size:
        return
    section, outcomes = comparisons.turn_section, turn_outcomes(comparisons)
    slices = slices or _slices(comparisons.requests, states)
    found: list[tuple[int, TurnPairs]] = []
    for number, of_partition in _by_partition(comparisons.requests, rows):
        state = states[number]
        turns = _turns_of(comparisons.requests, of_partition, outcomes, slices)
        pairs = state.add_turns(section, turns)
        if pairs is not None:
            found.append((number, pairs))
    if found:
        keys = [(number, key) for number, pairs in found for key in pairs.slice]
        counted_in, distinct = number_rows(keys)
        later = concatenate([pairs.later for _, pairs in found])
        earlier = concatenate([pairs.earlier for _, pairs in found])
        sums = [states[number].touch_sums(key) for number, key in distinct]
        add_batch(sums, counted_in, turn_pair_columns(section, later, earlier))


def _turns_of(
    requests: Requests, rows: NDArray[np.intp], outcomes: TurnOutcomes, slices: _Slices
) -> Turns:
    """The requests in some rows, as turns; `outcomes` and `slices` are those of all rows."""
    keys = [slices.keys[at][1] for at in slices.rows[rows].tolist()]
    ids = requests.conversation_id
    conversation = [
        f"{key.rollout_id}/{key.mode}/{ids[row]}"
        for key, row in zip(keys, rows.tolist(), strict=True)
    ]
    return Turns(
        conversation=conversation,
        slice=keys,
        request_time_ms=requests.request_time_ms[rows],
        log_bytes=requests.log_bytes[rows],
        offset=requests.offset[rows],
        outcomes=select(outcomes, rows.tolist()),
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
