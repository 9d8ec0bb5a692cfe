"""A fixed sample: the rows of all units, and the test of each check in each slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.fixed_sample.fixed_tests import FixedTest, test_of
from understudy.analyzers.fixed_sample.quantiles import QuantileTest
from understudy.analyzers.fixed_sample.tolerated_error import Cell, Present, slice_shares
from understudy.analyzers.fixed_sample.units import added_by_unit, units_of
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.measured_since import (
    columns_that_show,
    rests_on_field,
    shown_in,
)
from understudy.analyzers.guardrails.row_columns import RowColumns, RowsTaken
from understudy.analyzers.guardrails.slices import slice_name
from understudy.analyzers.guardrails.stage_counts import StageSums
from understudy.analyzers.sequential.bets import FloatArray, IntArray
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.windows import WindowRow, row_lists

_NO_ROWS: Final[IntArray] = np.zeros(0, dtype=np.int64)


class Labels(NamedTuple):
    """What a row belongs to, in the order of the rows."""

    units: IntArray
    """(n,) numbers of units; rows of one unit need not lie together."""
    languages: Sequence[str]
    workflows: Sequence[str]


class Sample:
    """The rows of a sample in columns, and the checks on it."""

    def __init__(
        self, columns: RowColumns, labels: Labels, counts: StageSums, checks: Sequence[Check]
    ) -> None:
        """`columns` hold what `column_names` asks for; checks on ratings are left out."""
        self.checks = _of_events(checks)
        self.counts = counts
        self.present = Present.of(labels.languages, labels.workflows)
        self._columns, self._units = columns, labels.units
        self._statistics: dict[str, FloatArray] = {}
        self._places = _places_of_slices(labels)

    @classmethod
    def of_rows(cls, rows: Sequence[WindowRow], checks: Sequence[Check]) -> Sample:
        """Take the rows of paired modes, one window a unit."""
        rows = [row for row in rows if row.mode in PAIRED_MODES]
        lists = row_lists(rows)
        columns = RowColumns.of_lists([RowsTaken(lists)], column_names(checks))
        languages, workflows = [row.language for row in rows], [row.workflow for row in rows]
        labels = Labels(units_of(rows), languages, workflows)
        return cls(columns, labels, StageSums.of(lists, range(len(rows))), checks)

    @property
    def cases(self) -> int:
        """Requests that at least one side answered."""
        return self.counts.pairs + self.counts.unmatched

    @property
    def n_units(self) -> int:
        """Independent ones: conversations, or single cases."""
        return int(np.unique(self._units).size)

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
        total: FloatArray = self._of_rows(cell).sum(axis=0)
        return total

    def by_unit(self, cell: Cell) -> FloatArray:
        """Return the statistics of the units of a slice, (n_units, k)."""
        places = self._places.get(cell.slice, _NO_ROWS)
        return added_by_unit(self._of_rows(cell), self._units[places])

    def _of_rows(self, cell: Cell) -> FloatArray:
        """Return the statistics of the rows of a slice, (n, k)."""
        check, places = self.checks[cell.check], self._places.get(cell.slice, _NO_ROWS)
        assert check.reader is not None
        if check.key not in self._statistics:
            statistics = check.reader.read(self._columns)
            is_measured = self._is_measured(check.metric.name)
            self._statistics[check.key] = statistics if is_measured else np.zeros_like(statistics)
        return self._statistics[check.key][places]

    def _is_measured(self, metric: str) -> bool:
        """Return whether some case has the field that a metric rests on, if it rests on one."""
        return not rests_on_field(metric) or bool(shown_in(metric, self._columns).any())


def column_names(checks: Sequence[Check]) -> frozenset[str]:
    """Return the columns of rows that a sample takes."""
    checks = _of_events(checks)
    readers = [check.tail if check.reader is None else check.reader for check in checks]
    return frozenset[str]().union(
        *(reader.names() for reader in readers),
        *(columns_that_show(check.metric.name) for check in checks),
    )


def _of_events(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.source == "events"]


def _places_of_slices(labels: Labels) -> dict[str, IntArray]:
    """Return which rows belong to each slice."""
    found: dict[str, list[int]] = {}
    for place, (language, workflow) in enumerate(
        zip(labels.languages, labels.workflows, strict=True)
    ):
        by_language, by_workflow = language or None, workflow or None
        for name in {
            slice_name(),
            slice_name(by_language),
            slice_name(None, by_workflow),
            slice_name(by_language, by_workflow),
        }:
            found.setdefault(name, []).append(place)
    return {name: np.array(places, dtype=np.int64) for name, places in found.items()}
