"""The state of a partition of the feedback topic: decode, tell copies, window. Pure.

A rating says all that it is about and waits for nobody. It counts in the window of its own
`feedback_time`, since people answer long after the request's window has closed. Every record read
ends in exactly one place: single (measured), duplicate, late or invalid.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from understudy.analyzers.windows.columns import WindowColumns, feedback_columns
from understudy.analyzers.windows.window_sums import SliceKey, number_rows
from understudy.schemas.events import InvalidEvent
from understudy.schemas.feedback import Feedback, decode_feedback, feedback_time_ms
from understudy.schemas.windows import Source
from understudy.streams.pairing.dedup_cache import DedupCache
from understudy.streams.pairing.open_windows import WatermarkSteps
from understudy.streams.pairing.partition_state import (
    PartitionState,
    clock_ahead,
    slice_of,
)
from understudy.streams.pairing.records import BatchOutput, Record, RecordBatch
from understudy.streams.pairing.request_language import named_language


class FeedbackPartition(PartitionState):
    """What users thought, from one partition of the feedback topic."""

    source: ClassVar[Source] = "feedback"

    def _begin(self) -> None:
        self._recent = DedupCache(self.policy.join_timeout_ms, self.policy.max_join_bytes)

    def process(self, records: RecordBatch) -> BatchOutput:
        """Take the next records of the partition, in order."""
        outcome, steps = BatchOutput(), WatermarkSteps()
        ratings: list[Feedback] = []
        for record in records.one_by_one():
            self._read(record, ratings, outcome, steps)
        self._note_read(records)
        self._add(ratings)
        if self.watermark_ms is not None:
            self._recent.evict(self.watermark_ms)
        self._end_batch(steps)
        return outcome

    def _read(
        self, record: Record, ratings: list[Feedback], outcome: BatchOutput, steps: WatermarkSteps
    ) -> None:
        """Decode a record and judge it by the watermark before it."""
        feedback: Feedback | None = None
        before = self.watermark_ms
        self._recent.log_bytes += len(record.payload or b"")
        try:
            feedback = decode_feedback(record.payload)
            time_ms = feedback_time_ms(feedback)
            if time_ms > record.timestamp_ms + self.policy.max_clock_skew_ms:
                raise clock_ahead("feedback_time", time_ms - record.timestamp_ms)
        except InvalidEvent as error:
            self._count_invalid(record.dead_letter(error), feedback, before, outcome)
            return
        if before is None or time_ms > before:
            self.watermark_ms = steps.rise(time_ms, record.offset + 1, self._recent.log_bytes)
        self._take(feedback, time_ms, time_ms if before is None else before, record, ratings)

    def _take(
        self,
        feedback: Feedback,
        time_ms: int,
        watermark_ms: int,
        record: Record,
        ratings: list[Feedback],
    ) -> None:
        """Count a record as late, duplicate or replayed, or add it to those to measure."""
        is_closed = self._is_closed(time_ms)
        is_new = record.offset >= self.flushed_position
        if time_ms < watermark_ms - self.policy.join_timeout_ms or (is_closed and is_new):
            self._count_late(feedback, watermark_ms, record.offset)
        elif self._recent.is_copy(_identity(feedback), time_ms, max(time_ms, watermark_ms)):
            self._count_ended("duplicate", feedback, time_ms)
        elif self._is_unwritten(time_ms):
            self._count_unwritten(time_ms)
        else:
            ratings.append(feedback)

    def _add(self, ratings: list[Feedback]) -> None:
        """Add ratings to their windows, by side."""
        self.tally.single += len(ratings)
        for side in ("stable", "candidate"):
            some = [feedback for feedback in ratings if feedback.side == side]
            if some:
                self._add_side(side, some)

    def _add_side(self, side: str, ratings: list[Feedback]) -> None:
        rows, slices = number_rows(map(self._slice, ratings))
        columns = WindowColumns()
        columns.count("events_single", np.ones(len(ratings), dtype=np.int64))
        feedback_columns(side, np.array([one.score_value for one in ratings]), columns)
        self._windows.add(slices, rows, columns)

    def _slice(self, feedback: Feedback) -> SliceKey:
        start_ms = self._windows.start_of(feedback_time_ms(feedback))
        return slice_of(feedback, named_language(feedback), start_ms)


def _identity(feedback: Feedback) -> tuple[str, str, str, str]:
    """What the same rating, written again, has in common."""
    return feedback.rollout_id, feedback.pair_id, feedback.side, feedback.name
