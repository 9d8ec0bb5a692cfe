"""The state of a partition of the topic of evaluations: decode, tell copies, window. Pure.

An evaluation waits for nobody and is never late: it counts in the window of its own
`evaluation_time`, or of the watermark where that has passed already. Whether its pair belongs to a
stage is told by the minute in which the pair was requested, which its row names.

The first record about a pair, what it was compared with and an evaluator counts. So a worker reads
again what the log holds before its committed offset, as far as the look-back reaches, for nothing
but to know what has been judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.quality_columns import noise_columns, quality_columns
from understudy.analyzers.windows.window_sums import SliceKey, number_rows
from understudy.schemas.evaluations import (
    Evaluation,
    decode_evaluation,
    evaluation_identity,
    evaluation_time_ms,
    evaluator_reference,
    fingerprint,
)
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import InvalidEvent
from understudy.schemas.windows import Source
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.fingerprints import SeenFingerprints, first_offset_needed
from understudy.streams.pairing.open_windows import WatermarkSteps
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState, clock_ahead, slice_of
from understudy.streams.pairing.records import (
    BatchOutput,
    JudgedPair,
    Record,
    RecordBatch,
)
from understudy.streams.pairing.request_language import named_language

if TYPE_CHECKING:
    from understudy.schemas.redaction.redact import Redacted

LOOK_BACK_S: Final = 28 * 86_400
"""Two days less than the topic is kept: what a running worker knows, one that starts can read."""
REQUEST_SPAN_MS: Final = 60_000
"""Rows tell apart the minutes in which pairs were requested: as long as a stage waits for gateways
anyway before its windows count."""


_Fill = Callable[[Sequence[Evaluation], WindowColumns], None]


class _Placed(NamedTuple):
    """An evaluation that counts, and the time whose window it counts in."""

    evaluation: Evaluation
    time_ms: int


class EvaluationPartition(PartitionState):
    """What evaluators said, from one partition of the topic of evaluations."""

    source: ClassVar[Source] = "evaluations"

    def __init__(
        self,
        number: int,
        policy: PairingPolicy,
        *,
        start_offset: int = 0,
        resumed: CommitMetadata | None = None,
        is_truncated: bool = False,
    ) -> None:
        super().__init__(
            number,
            policy.without_waiting,
            start_offset=start_offset,
            resumed=resumed,
            is_truncated=is_truncated,
        )

    def _begin(self) -> None:
        self._seen = SeenFingerprints(LOOK_BACK_S)
        self._stored_s = 0
        self._counts_from = self.position

    @classmethod
    def reads_from(cls, start_offset: int, first_offset: int) -> int:
        return max(first_offset, min(start_offset, first_offset_needed(start_offset)))

    def process(self, records: RecordBatch) -> BatchOutput:
        """Take the next records of the partition, in order."""
        outcome, steps = BatchOutput(), WatermarkSteps()
        placed: list[_Placed] = []
        before, records = records.split_at(self._counts_from)
        self._recall(before)
        if not len(records):
            return outcome
        self.position = max(self.position, self._counts_from)
        for record in records.one_by_one():
            self._read(record, placed, outcome, steps)
        self._note_read(records)
        self._add(placed)
        self._end_batch(steps)
        return outcome

    def _recall(self, records: RecordBatch) -> None:
        """Note what was judged before the committed offset, and count nothing."""
        for record in records.one_by_one():
            self._note_stored(record)
            try:
                evaluation = decode_evaluation(record.payload)
            except InvalidEvent:
                continue
            if not self._is_ahead(evaluation, record):
                self._is_copy(evaluation, record)
        if len(records):
            self.position = records.offsets[-1] + 1

    def pass_unreadable(self, first: int, end: int, why: str) -> BatchOutput:
        """Step over a batch that cannot be unpacked; what lies before the start was counted."""
        if end > self._counts_from:
            return super().pass_unreadable(first, end, why)
        self.position = end
        return BatchOutput()

    def _read(
        self, record: Record, placed: list[_Placed], outcome: BatchOutput, steps: WatermarkSteps
    ) -> None:
        """Decode a record and place it by the watermark before it."""
        evaluation: Evaluation | None = None
        before = self.watermark_ms
        self._note_stored(record)
        try:
            evaluation = decode_evaluation(record.payload)
            if ahead := self._is_ahead(evaluation, record):
                raise ahead
        except InvalidEvent as error:
            self._count_invalid(record.dead_letter(error), evaluation, before, outcome)
            return
        time_ms = evaluation_time_ms(evaluation)
        if before is None or time_ms > before:
            self.watermark_ms = before = steps.rise(time_ms, record.offset + 1, 0)
        self._take(evaluation, self._placed_ms(before, record.offset), record, placed, outcome)

    def _placed_ms(self, watermark_ms: int, offset: int) -> int:
        """The time whose window counts a record: in one that is closed nothing is added."""
        # So it is after a loss, where reading goes on in a window that was closed with what it had.
        if self._is_closed(watermark_ms) and offset >= self.flushed_position:
            return self._closed_before_ms
        return watermark_ms

    def _take(
        self,
        evaluation: Evaluation,
        time_ms: int,
        record: Record,
        placed: list[_Placed],
        outcome: BatchOutput,
    ) -> None:
        """Count a record as a copy or as replayed, or add it to those that count."""
        if self._is_copy(evaluation, record):
            self._count_copy(evaluation, time_ms)
            return
        explanation = self._storable(evaluation)
        outcome.evaluations.append(JudgedPair(record.offset, evaluation, explanation))
        if self._is_unwritten(time_ms):
            self._count_unwritten(time_ms)
        else:
            placed.append(_Placed(evaluation, time_ms))

    def _storable(self, evaluation: Evaluation) -> Redacted | None:
        """What an evaluator explains, redacted, if the policy captures; whoever wrote it."""
        captures, said = self.policy.captures, evaluation.explanation
        said_ms = evaluation_time_ms(evaluation)
        if not said or captures.of(evaluation.rollout_id, said_ms) == "none":
            return None
        try:
            # Imported where it is needed: rules take 20 ms to compile, and most capture nothing.
            from understudy.schemas.redaction.redact import redact_and_cut

            return redact_and_cut(said, captures.limits.max_text_bytes, captures.recognize)
        except Exception:  # its message may quote the text
            self.tally.capture_failures += 1
            return None

    def _is_copy(self, evaluation: Evaluation, record: Record) -> bool:
        """Whether the same was judged before; where there is no judgement, nothing was."""
        if evaluation.error:
            return False
        identity = fingerprint(evaluation_identity(evaluation))
        return self._seen.is_copy(identity, record.offset, self._stored_s)

    def _note_stored(self, record: Record) -> None:
        self._stored_s = max(self._stored_s, min(record.timestamp_ms // 1000, _LAST_SECOND))

    def _is_ahead(self, evaluation: Evaluation, record: Record) -> InvalidEvent | None:
        """Why a record's clock was wrong; None where it was not."""
        times = {
            "evaluation_time": evaluation_time_ms(evaluation),
            "request_time": to_epoch_ms(evaluation.request_time),
        }
        for field, time_ms in times.items():
            if time_ms > record.timestamp_ms + self.policy.max_clock_skew_ms:
                return clock_ahead(field, time_ms - record.timestamp_ms)
        return None

    def _count_copy(self, evaluation: Evaluation, time_ms: int) -> None:
        if self._is_unwritten(time_ms):
            self._count_unwritten(time_ms)
            return
        self.tally.duplicate += 1
        self._windows.count(self._slice(_Placed(evaluation, time_ms)), "events_duplicate")

    def _add(self, placed: list[_Placed]) -> None:
        """Add evaluations to their windows: what is said of the candidate, and of control."""
        self.tally.single += len(placed)
        judged = [one for one in placed if not one.evaluation.error]
        self._add_columns(placed, _count_single)
        for compared, fill in (("candidate", quality_columns), ("control", noise_columns)):
            self._add_columns([one for one in judged if one.evaluation.compared == compared], fill)

    def _add_columns(self, placed: list[_Placed], fill: _Fill) -> None:
        """Add to the windows of some evaluations what `fill` makes of these."""
        if placed:
            rows, slices = number_rows(map(self._slice, placed))
            columns = WindowColumns()
            fill([one.evaluation for one in placed], columns)
            self._windows.add(slices, rows, columns)

    def _slice(self, placed: _Placed) -> SliceKey:
        evaluation = placed.evaluation
        start_ms = self._windows.start_of(placed.time_ms)
        requested_ms = to_epoch_ms(evaluation.request_time)
        key = slice_of(evaluation, named_language(evaluation), start_ms)
        return key._replace(
            evaluator=evaluator_reference(evaluation),
            requests_from_ms=requested_ms - requested_ms % REQUEST_SPAN_MS,
        )


def _count_single(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    into.count("events_single", np.ones(len(evaluations), dtype=np.int64))


_LAST_SECOND: Final = 2**32 - 1
"""What a fingerprint's time holds, in the year 2106."""
