"""Offsets that hold no message are counted by their bounds.

Upstream: `Consumer._new_offset` makes a list of all offsets of a gap. A batch that cannot be
unpacked may hold hundreds of millions of records, which is a gap of as many offsets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from heapq import merge
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from understudy.streams.deciding.faust_patches.unreadable_batches import UnreadableValue


class CommitsOverGaps(Consumer):
    """Commits up to the first offset that is neither acknowledged nor known to be empty."""

    def _to_message(self, tp: TP, record: Any) -> Any:
        """Note the offsets of a batch that cannot be unpacked: one message stands for all."""
        if isinstance(record.value, UnreadableValue) and record.value.batch.first < record.offset:
            self._gap[tp].addi(record.value.batch.first, record.offset)
        return super()._to_message(tp, record)

    def _new_offset(self, tp: TP) -> int | None:
        """Where to commit; None while a message before the acknowledged ones is not done."""
        acked = self._acked[tp]
        if not acked:
            return None
        acked.sort()
        gaps = self._gap[tp]
        begun = sorted((gap.begin, gap.end) for gap in gaps if gap.begin < acked[-1])
        runs: Iterator[tuple[int, int]] = merge(((offset, offset + 1) for offset in acked), begun)
        first, end = next(runs)
        committed = self._committed_offset[tp]
        if committed and first - committed > 1:
            return None
        for begin, stop in runs:
            if begin > end:
                break
            end = max(end, stop)
        done = bisect_left(acked, end)
        self._acked_index[tp].difference_update(acked[:done])
        del acked[:done]
        gaps.chop(0, end)
        return end
