"""Sums of columns, all of many readers at once.

Most statistics are sums and differences of a few columns, so what dozens of readers would compute
one after the other, each in calls that cost more than its few rows, is one gathering of columns for
each place in the longest sum. Counts are whole numbers and measured values stand alone, so the
order of adding changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.sequential.bets import FloatArray, IntArray

Read = Callable[[RowColumns], FloatArray]


class _Terms(NamedTuple):
    """One column for each of some sums."""

    sums: IntArray
    columns: IntArray
    factors: FloatArray
    """(m, 1)"""


class LinearSums:
    """What a function reads of rows that adds up columns; it may differ between paired modes and
    others."""

    def __init__(self, names: Sequence[str], read: Read) -> None:
        """`read` takes (n,) columns of these names to (n, width) sums."""
        self._names = tuple(names)
        self._terms = {
            is_paired: _terms_of(self._gains(read, is_paired=is_paired))
            for is_paired in (True, False)
        }
        self.width = self._gains(read, is_paired=True).shape[1]

    def read(self, columns: RowColumns) -> FloatArray:
        """Return the sums of rows, (n, width)."""
        is_paired = columns.is_paired
        values = columns.together(self._names)
        if is_paired.all():
            return self._added(values, is_paired=True)
        if not is_paired.any():
            return self._added(values, is_paired=False)
        both = [self._added(values, is_paired=one) for one in (True, False)]
        return np.where(is_paired[:, None], *both)

    def _added(self, values: FloatArray, *, is_paired: bool) -> FloatArray:
        sums = np.zeros((self.width, values.shape[1]))
        for terms in self._terms[is_paired]:
            sums[terms.sums] += values[terms.columns] * terms.factors
        return sums.T

    def _gains(self, read: Read, *, is_paired: bool) -> FloatArray:
        """Return what one in each column adds to each sum, (names, width)."""
        n = len(self._names)
        one_each = dict(zip(self._names, np.eye(n), strict=True))
        return read(RowColumns(np.full(n, is_paired), one_each))


def _terms_of(gains: FloatArray) -> list[_Terms]:
    """Return the first column of each sum, then the second of those that have two, and so on."""
    sums, columns = np.nonzero(gains.T)
    place = np.arange(sums.size) - np.searchsorted(sums, sums)
    return [
        _Terms(sums[of_place], columns[of_place], gains[columns[of_place], sums[of_place], None])
        for of_place in (place == one for one in range(int(place.max(initial=-1)) + 1))
    ]
