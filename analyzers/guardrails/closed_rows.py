"""Rows of windows that are complete, in columns: what a backtest reads from ClickHouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.schemas.windows import Source

IntArray = npt.NDArray[np.int64]


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

    @property
    def n(self) -> int:
        """How many rows there are."""
        return self.start_ms.size

    def part(self, rows: slice | IntArray) -> ClosedRows:
        """Some of the rows, in their order."""
        return ClosedRows(
            self.source,
            self.start_ms[rows],
            self.window_s[rows],
            self.partition[rows],
            self.mode.part(rows),
            self.language.part(rows),
            self.workflow.part(rows),
            self.columns.part(rows),
        )
