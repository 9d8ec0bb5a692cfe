"""A fixed sample: the rows of all units, and the test of each check in each slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from understudy.analyzers.fixed_sample.error_shares import Cell, Present, slice_shares
from understudy.analyzers.fixed_sample.fixed_tests import FixedTest, test_of
from understudy.analyzers.fixed_sample.quantiles import QuantileTest
from understudy.analyzers.fixed_sample.units import added_by_unit, units_of
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.slices import slice_name
from understudy.analyzers.guardrails.stage_counts import StageSums
from understudy.analyzers.sequential.bets import FloatArray, IntArray
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.windows import WindowRow

_NO_ROWS: Final[IntArray] = np.zeros(0, dtype=np.int64)


class Sample:
    """Rows of units, as far as they belong to a paired mode; ratings have none."""

    def __init__(self, rows: Sequence[WindowRow], checks: Sequence[Check]) -> None:
        self.rows = [row for row in rows if row.mode in PAIRED_MODES]
        self.checks = [check for check in checks if check.source == "events"]
        self._units = units_of(self.rows)
        self._columns = RowColumns.of_rows(self.rows, self._names())
        self._statistics: dict[str, FloatArray] = {}
        self._places = self._places_of_slices()

        self.counts = StageSums.of(self.rows)

    @property
    def cases(self) -> int:
        """Requests that at least one side answered."""
        return self.counts.pairs + self.counts.unmatched

    @property
    def n_units(self) -> int:
        """Independent ones: conversations, or single cases."""
        return int(np.unique(self._units).size)

    @cached_property
    def present(self) -> Present:
        """Languages and workflows that turned up."""
        return Present.of((row.language for row in self.rows), (row.workflow for row in self.rows))

    def shares(self, number: int) -> dict[Cell, float]:
        """Return the slices that a check covers, each with its share of the check."""
        choice = self.checks[number].guardrail.slices
        shares = slice_shares(choice, self.present)
        return {Cell(number, name): share for name, share in shares.items()}

    def test(self, cell: Cell) -> FixedTest:
        """Return the test of a check in a slice."""
        check, places = self.checks[cell.check], self._places.get(cell.slice, _NO_ROWS)
        if check.is_tail:
            return QuantileTest.of(self._columns.part(places), self._units[places], check)
        return test_of(check.test, self.by_unit(cell))

    def total(self, cell: Cell) -> FloatArray:
        """Return the statistics of all units of a slice, (k,); of quantiles none."""
        if self.checks[cell.check].is_tail:
            return np.zeros(0)
        total: FloatArray = self.by_unit(cell).sum(axis=0)
        return total

    def by_unit(self, cell: Cell) -> FloatArray:
        """Return the statistics of the units of a slice, (n_units, k)."""
        check, places = self.checks[cell.check], self._places.get(cell.slice, _NO_ROWS)
        assert check.reader is not None
        if check.key not in self._statistics:
            self._statistics[check.key] = check.reader.read(self._columns)
        return added_by_unit(self._statistics[check.key][places], self._units[places])

    def _names(self) -> Iterator[str]:
        for check in self.checks:
            reader = check.tail if check.reader is None else check.reader
            yield from reader.names()

    def _places_of_slices(self) -> dict[str, IntArray]:
        """Which rows belong to each slice."""
        found: dict[str, list[int]] = {}
        for place, row in enumerate(self.rows):
            language, workflow = row.language or None, row.workflow or None
            for name in {
                slice_name(), slice_name(language), slice_name(None, workflow),
                slice_name(language, workflow),
            }:  # fmt: skip
                found.setdefault(name, []).append(place)
        return {name: np.array(places, dtype=np.int64) for name, places in found.items()}
