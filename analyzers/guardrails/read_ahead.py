"""Rows that were read before their turn: reading many at once costs little more than reading one.

What is read of a row depends on the row, on its slices and on where stable's tails begin, so it
holds until one of these changes; then the row is read again. So nothing shows in which company a
row was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.guardrails.window_store import RowKey
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.windows import WindowRow


class ReadAhead:
    """Vectors of rows that will come next, of one source. Not thread-safe."""

    def __init__(self, layout: RowLayout) -> None:
        self._layout = layout
        self._vectors: dict[int, tuple[WindowRow, FloatArray]] = {}
        """By identity of the row, which is kept so that no other one gets it."""

    def clear(self) -> None:
        """Forget all: slices or thresholds have changed."""
        self._vectors.clear()

    def read(
        self,
        rows: Mapping[RowKey, WindowRow],
        following: Iterable[WindowRow],
        table: SliceTable,
        thresholds: TailThresholds,
    ) -> list[FloatArray]:
        """Return the vectors of rows, which were read before or are now, with those that follow.

        Raises ValueError for counts that cannot be.
        """
        if all(id(row) in self._vectors for row in rows.values()):
            return [self._vectors.pop(id(row))[1] for row in rows.values()]
        keys, own, others = list(rows), list(rows.values()), list(following)
        self.clear()
        try:
            keys_of_all = [*keys, *map(RowKey.of, others)]
            vectors = self._read(keys_of_all, [*own, *others], table, thresholds)
        except (ValueError, OverflowError):
            if not others:
                raise
            return self._read(keys, own, table, thresholds)  # others in their own turn
        for row, vector in zip(others, vectors[len(own) :], strict=True):
            self._vectors[id(row)] = row, vector
        return vectors[: len(own)]

    def _read(
        self,
        keys: Sequence[RowKey],
        rows: Sequence[WindowRow],
        table: SliceTable,
        thresholds: TailThresholds,
    ) -> list[FloatArray]:
        """Return vectors that are no views: a row that is kept for long would keep all others."""
        return [one.copy() for one in self._layout.read(keys, rows, table, thresholds)]
