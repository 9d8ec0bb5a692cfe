"""Rows that were read before their turn: reading many at once costs little more than reading one.

What is read of a row depends on the row, on its slices and on where stable's tails begin, so it
holds until one of these changes; then the row is read again. So nothing shows in which company a
row was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.measured_since import shown_in
from understudy.analyzers.guardrails.row_columns import RowColumns, RowsTaken
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.guardrails.window_store import RowKey
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray
from understudy.schemas.windows import WindowsMessage


@dataclass(slots=True)
class _Together:
    """Rows that were read at once, of one message or several."""

    columns: RowColumns
    vectors: FloatArray
    shown: dict[str, BoolArray] = field(default_factory=dict)
    """By metric, in which rows some request has the field that it rests on."""


class UsableRows(NamedTuple):
    """The rows of a message that say of which requests they are."""

    message: WindowsMessage
    keys: list[RowKey]
    places: list[int]
    """In the message's columns."""


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Some rows of a message, read; (n,) rows of those that were read at once."""

    keys: list[RowKey]
    places: list[int]
    """In the message's columns."""
    vectors: list[FloatArray]
    """None is a view: a row that is kept for long would keep all others."""
    _rows: IntArray
    _together: _Together | None

    def shown(self, metric: str) -> BoolArray:
        """Return in which rows some request has the field that a metric rests on, (n,)."""
        if self._together is None:
            return np.zeros(0, dtype=np.bool_)
        known = self._together.shown
        if metric not in known:
            known[metric] = shown_in(metric, self._together.columns)
        return known[metric][self._rows]


class ReadAhead:
    """Rows of the messages that will come next, of one source. Not thread-safe."""

    def __init__(self, layout: RowLayout) -> None:
        self._layout = layout
        self._read: dict[int, tuple[WindowsMessage, int, _Together]] = {}
        """By identity of a message, which is kept so that no other one gets it; and which of the
        rows that were read at once is its first usable one."""
        self._usable: dict[int, UsableRows] = {}
        """By identity of a message, whose rows do not depend on anything else."""

    def clear(self) -> None:
        """Forget what was read: slices or thresholds have changed."""
        self._read.clear()

    def usable(self, message: WindowsMessage, evaluators: Iterable[str]) -> UsableRows:
        """Return the rows that say of which requests they are, and are of no other evaluator."""
        known = self._usable.get(id(message))
        if known is not None:
            return known
        kept = [
            (key, place)
            for place, key in enumerate(RowKey.of_lists(message.columns))
            if key.mode is not None and (not key.evaluator or key.evaluator in evaluators)
        ]
        return UsableRows(message, [key for key, _ in kept], [place for _, place in kept])

    def read(
        self,
        rows: UsableRows,
        chosen: Sequence[int],
        following: Iterable[UsableRows],
        table: SliceTable,
        thresholds: TailThresholds,
    ) -> ReadRows:
        """Return some of a message's usable rows, which were read before or are now.

        With them are read those that follow. Raises ValueError for counts that cannot be.
        """
        keys, places = [rows.keys[one] for one in chosen], [rows.places[one] for one in chosen]
        self._usable.pop(id(rows.message), None)
        if not keys:
            return ReadRows([], [], [], np.zeros(0, dtype=np.int64), None)
        if id(rows.message) not in self._read:
            self._read_all([rows, *following], table, thresholds)
        _, first, together = self._read.pop(id(rows.message), (None, 0, None))
        if together is None:  # of others in their own turn, and of none but those that are new
            taken = [RowsTaken(rows.message.columns, places)]
            together = self._together(keys, taken, table, thresholds)
            at = np.arange(len(keys))
        else:
            at = first + np.array(chosen, dtype=np.int64)
        vectors = [together.vectors[one].copy() for one in at.tolist()]
        return ReadRows(keys, places, vectors, at, together)

    def _read_all(
        self, messages: Sequence[UsableRows], table: SliceTable, thresholds: TailThresholds
    ) -> None:
        """Read messages at once; none of them if one cannot be."""
        self._read.clear()
        self._usable = {id(one.message): one for one in messages[1:]}
        keys = [key for one in messages for key in one.keys]
        taken = [
            RowsTaken(
                one.message.columns, None if one.message.n_rows == len(one.keys) else one.places
            )
            for one in messages
        ]
        try:
            together = self._together(keys, taken, table, thresholds)
        except (ValueError, OverflowError):
            return
        first = 0
        for one in messages:
            self._read[id(one.message)] = one.message, first, together
            first += len(one.keys)

    def _together(
        self,
        keys: Sequence[RowKey],
        taken: Sequence[RowsTaken],
        table: SliceTable,
        thresholds: TailThresholds,
    ) -> _Together:
        columns = RowColumns.of_lists(taken, self._layout.names)
        return _Together(columns, self._layout.read(keys, columns, table, thresholds))
