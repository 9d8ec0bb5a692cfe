"""Rows of windows that are complete, in columns: what a backtest reads from ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.sequential.bets import IntArray
from understudy.schemas.windows import Source


class Labels(NamedTuple):
    """Strings of few kinds: (n,) places in a list of them."""

    codes: IntArray
    values: list[str]

    def part(self, rows: slice | IntArray) -> Labels:
        """Those of some rows."""
        return Labels(self.codes[rows], self.values)


@dataclass(frozen=True, slots=True)
class ClosedRows:
    """n rows of one source that won't change any more, in the order of their windows' starts."""

    source: Source
    start_ms: IntArray
    window_s: IntArray
    partition: IntArray
    mode: Labels
    language: Labels
    workflow: Labels
    columns: RowColumns
    requests_from_ms: IntArray | None = None
    """Of evaluations: from when on the pairs were requested."""

    @property
    def requested_ms(self) -> IntArray:
        """From when on the rows' requests were made: what says to which stage they belong."""
        return self.start_ms if self.requests_from_ms is None else self.requests_from_ms

    @property
    def n(self) -> int:
        """How many rows there are."""
        return self.start_ms.size

    def between(self, starts: IntArray) -> ClosedRows:
        """Those of the windows from the first to the last of some, which are in their order."""
        first = np.searchsorted(self.start_ms, starts[0])
        end = np.searchsorted(self.start_ms, starts[-1], side="right")
        return self.part(slice(int(first), int(end)))

    def part(self, rows: slice | IntArray, *, source: Source | None = None) -> ClosedRows:
        """Some of the rows, in their order, which may be those of a source."""
        return ClosedRows(
            source or self.source,
            self.start_ms[rows],
            self.window_s[rows],
            self.partition[rows],
            self.mode.part(rows),
            self.language.part(rows),
            self.workflow.part(rows),
            self.columns.part(rows),
            None if self.requests_from_ms is None else self.requests_from_ms[rows],
        )
