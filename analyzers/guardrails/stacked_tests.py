"""Sequential tests of one kind, stacked: one array for the slices of all checks.

A look asks every check the same in every slice. Checks that test alike differ in a few numbers
(margin, ratio, factor), so their slices are laid one after the other as *cells*, and numpy is
called once for all of them, or once for each different test where those numbers matter. Bits are
those of each test by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.column_readers import BinaryColumns, MeanColumns
from understudy.analyzers.guardrails.design_effect import known_sums
from understudy.analyzers.guardrails.sequential_tests import (
    CANDIDATE_ONLY,
    NEITHER,
    AnyTest,
    BinaryTest,
    GradedTest,
    MeanTerms,
    MeanTest,
    NoiseTest,
    arms_of,
    no_scale,
)
from understudy.analyzers.sequential import Direction, two_arm_cells
from understudy.analyzers.sequential.bets import FloatArray, IntArray, columns
from understudy.analyzers.sequential.unbounded import (
    CALIBRATION_UNITS,
    MOST_OF_AN_OBSERVATION,
    staked,
)


class _Alike(NamedTuple):
    """Cells whose tests make the same of the same statistics, bets apart."""

    test: AnyTest
    cells: IntArray | slice


class StackedTest:
    """The tests of some checks of one kind, each repeated for every slice of its check."""

    def __init__(self, tests: Sequence[AnyTest], sizes: Sequence[int]) -> None:
        """Of checks with so many slices each; at least one."""
        self.tests = list(dict.fromkeys(tests))
        """The different ones."""
        self.n_bets = self.tests[0].n_bets
        """Stakes in each direction."""
        places = np.array([self.tests.index(test) for test in tests], dtype=np.int64)
        self._of_cell: IntArray = np.repeat(places, sizes)
        self._alike = _alike(self.tests, self._of_cell)
        means = [test for test in self.tests if isinstance(test, MeanTest)]
        self._means = MeanTerms.of_cells(means, self._of_cell) if means else None
        self._gains: dict[Direction, FloatArray] = {}
        self._most_gains: FloatArray | None = None
        self._payoffs: dict[Direction, two_arm_cells.Payoffs] = {}

    @property
    def has_worst(self) -> bool:
        """Whether unresolved requests can be taken at their worst; False of means."""
        return self._means is None

    def units(self, statistics: FloatArray) -> FloatArray:
        """Return the candidate's units, (n_cells,) of (n_cells, k)."""
        if self._means is None:
            return self.tests[0].units(statistics)
        # Of a mean it says whether it is relative: without any value of stable there are none.
        return self._means.units(statistics)

    def split(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Split off what must wait; that depends on numbers of units alone, in all tests alike."""
        return self.tests[0].split(statistics)

    def scales_before(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the scale before each of T batches, and after the last: (T + 1, n_cells, 3)."""
        if self._means is None:
            return self.tests[0].scales_before(statistics, scale)
        return self._means.scales_before(statistics, scale)

    def scales_of(self, cells: IntArray, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the same of means in some cells, (T + 1, m, 3) of (T, m, k)."""
        assert self._means is not None
        return self._means.of(cells).scales_before(statistics, scale)

    def increments(
        self, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        """Return the log-wealth won on a batch of each cell (n_cells, k), as (n_cells, n_bets)."""
        return self.increments_of(np.arange(len(statistics)), statistics, direction, scale)

    def increments_of(
        self, cells: IntArray, statistics: FloatArray, direction: Direction, scale: FloatArray
    ) -> FloatArray:
        """Return the log-wealth won on batches (m, k), each of a cell (m,), as (m, n_bets)."""
        tests = self._of_cell[cells]
        if self._means is not None:
            return self._means.of(cells).increments(statistics, direction, scale)
        gains = self._gains_of(direction)
        won = np.zeros((len(statistics), self.n_bets))
        for number, count in enumerate(self._counts(statistics, direction)):
            won += count[:, None] * gains[tests, number]
        self._add_arms(won, tests, statistics, direction)
        return won

    def most_won(self, statistics: FloatArray) -> FloatArray:
        """Return the most that rollback evidence of bounded tests wins on windows with these units.

        (n_cells, k), added up over the windows, to (n_cells, n_bets): units that cost wealth count
        as nothing. Of separate arms a bad unit of the candidate is in one pair at most, and every
        pair is worth at most that.
        """
        if self._most_gains is None:
            self._most_gains = self._gains_at_most()
        won: FloatArray = np.matmul(statistics[:, None], self._most_gains)[:, 0]
        return won

    def _gains_at_most(self) -> FloatArray:
        """Return what one in each field wins at most, (n_cells, k, n_bets)."""
        gains = np.maximum(self._gains_of("rollback"), 0.0)
        fields = self.tests[0].fields
        of_fields = np.zeros((len(self.tests), len(fields), self.n_bets))
        for number, count in enumerate(self._counts(np.eye(len(fields)), "rollback")):
            of_fields += count[:, None] * gains[:, number, None]
        if isinstance(self.tests[0], BinaryTest):
            of_fields[:, fields.index("candidate_bad_rollback")] += gains[:, CANDIDATE_ONLY]
            of_fields[:, fields.index("candidate_units")] += gains[:, NEITHER]
        return of_fields[self._of_cell]

    def most_won_of_means(
        self, statistics: FloatArray, waiting: FloatArray, scale: FloatArray
    ) -> FloatArray | None:
        """Return the most that rollback evidence wins on T windows (T, n_cells, k), of means.

        `waiting` (n_cells, k) and `scale` (n_cells, 3) are those before the first of them.
        (n_cells, n_bets): what they are charged besides their own squares counts as nothing. None
        where a scale may be found within these windows.
        """
        assert self._means is not None
        s, before = (MeanColumns(*columns(one)) for one in (statistics, waiting))
        pairs = self._means.of_pairs(s)
        arm_units = s.candidate_units.sum(axis=0) + before.candidate_units
        is_calibrated = scale[..., 0] > 0.0
        units = scale[..., 1] + pairs.units.sum(axis=0) + arm_units
        if (units[~is_calibrated] >= CALIBRATION_UNITS).any():
            return None
        prior = np.where(is_calibrated, scale[..., 0], 1.0)
        of_windows = staked(pairs.total, pairs.square, prior, "rollback")
        won: FloatArray = np.maximum(of_windows, 0.0).sum(axis=0)
        won += (arm_units > 0.0)[:, None] * (MOST_OF_AN_OBSERVATION * len(statistics))
        return np.where(is_calibrated[:, None], won, 0.0)

    def interval_sums(self, statistics: FloatArray, scale: FloatArray) -> FloatArray:
        """Return what intervals need of a batch of each cell (n_cells, k), as (n_cells, 3)."""
        if self._means is None:
            return no_scale(statistics)
        return self._means.interval_sums(statistics, scale)

    def known_sums(self, statistics: FloatArray, turns: FloatArray) -> FloatArray:
        """Return `design_effect.known_sums` of each cell, (n_cells, 3, 9)."""
        if self._means is not None:
            return known_sums(self._means, statistics, turns)
        return self._apart(lambda test, cells: known_sums(test, statistics[cells], turns[cells]))

    def window_harm(self, statistics: FloatArray) -> FloatArray:
        """Return units, harm and variance of a window, (n_cells, 3), see `SequentialTest`."""
        if self._means is not None:
            return self._means.window_harm(statistics)
        return self._apart(lambda test, cells: test.window_harm(statistics[cells]))

    def stable_harm(self, statistics: FloatArray) -> FloatArray:
        """Return the same of stable's own outcomes: those of all tests of a kind are alike."""
        return self.tests[0].stable_harm(statistics)

    def _apart(self, compute: Callable[[AnyTest, IntArray | slice], FloatArray]) -> FloatArray:
        """Return what `compute` says of cells by a test of theirs, of all cells, (n_cells, ...).

        It is called once for those whose tests say the same, whatever their stakes.
        """
        if len(self._alike) == 1:
            return compute(*self._alike[0])
        parts = [compute(*one) for one in self._alike]
        result = np.empty((self._of_cell.size, *parts[0].shape[1:]))
        for one, part in zip(self._alike, parts, strict=True):
            result[one.cells] = part
        return result

    def _counts(self, statistics: FloatArray, direction: Direction) -> tuple[FloatArray, ...]:
        """Return the units that pay alike: which these are does not depend on a test's numbers."""
        first = self.tests[0]
        assert not isinstance(first, MeanTest)
        return first.counts(statistics, direction)

    def _gains_of(self, direction: Direction) -> FloatArray:
        """Return what units win that pay alike, (n_tests, kinds of units, n_bets)."""
        if direction not in self._gains:
            bounded = [test for test in self.tests if not isinstance(test, MeanTest)]
            self._gains[direction] = np.array([test.gains(direction) for test in bounded])
        return self._gains[direction]

    def _add_arms(
        self, won: FloatArray, tests: IntArray, statistics: FloatArray, direction: Direction
    ) -> None:
        """Add what separate arms win, where there are any: in paired modes quantiles alone."""
        if not isinstance(self.tests[0], BinaryTest):
            return
        at = np.flatnonzero(statistics[:, _ARMS].any(axis=-1))
        if at.size:
            arms = arms_of(statistics[at], direction)
            payoffs = self._payoffs_of(direction)
            won[at] += two_arm_cells.log_increments(*arms, payoffs, tests[at])

    def _payoffs_of(self, direction: Direction) -> two_arm_cells.Payoffs:
        """Return what pairings of two arms win, (n_tests, n_bets)."""
        if direction not in self._payoffs:
            self._payoffs[direction] = two_arm_cells.Payoffs.stacked(
                [
                    one.payoffs_of_arms(direction)
                    for one in self.tests
                    if isinstance(one, BinaryTest)
                ]
            )
        return self._payoffs[direction]


def _alike(tests: Sequence[AnyTest], of_cell: IntArray) -> list[_Alike]:
    """Return the cells, (n_cells,) places of tests, by what their statistics depend on."""
    kinds: dict[object, list[int]] = {}
    for place, test in enumerate(tests):
        kinds.setdefault(_likeness(test), []).append(place)
    if len(kinds) == 1:
        return [_Alike(tests[0], slice(None))]
    return [
        _Alike(tests[places[0]], np.flatnonzero(np.isin(of_cell, places)))
        for places in kinds.values()
    ]


def _likeness(test: AnyTest) -> object:
    """Return what a test's statistics depend on besides its class: of bounded ones no margin."""
    if isinstance(test, BinaryTest):
        return test.ratio
    if isinstance(test, GradedTest | NoiseTest):
        return test.unit
    return None


_ARMS: Final = [place for place, name in enumerate(BinaryColumns._fields) if "_units" in name]
