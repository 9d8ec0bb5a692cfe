"""Check stacks: all checks of one source and kind of test, laid out as cells for a look.

A cell is one check in one slice. What depends on the policy and on the slices that have turned up
is computed when a stack is made; what depends on folded windows once a window is folded; so a look
computes only what the open windows change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    Assumption,
    DesignEffect,
    EffectCells,
    TurnSums,
    correlations,
    together_of,
)
from understudy.analyzers.guardrails.measured_since import (
    NEVER_MS,
    MeasuredSince,
    missing_says_yes,
)
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.stacked_effects import EffectTests, StackedEffects
from understudy.analyzers.guardrails.stacked_tests import StackedTest
from understudy.analyzers.guardrails.tail_thresholds import TailThresholds
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray, log_evidence
from understudy.schemas.rollouts import Action
from understudy.schemas.windows import SOURCES, Source


class Known(NamedTuple):
    """What folded windows say, by cell."""

    evidence: CheckEvidence
    effects: StackedEffects
    correlation: FloatArray
    """(n_cells, 3) of the outcomes of two turns, see `correlations`."""
    unnamed: FloatArray
    """(n_cells,) factor of requests that name no conversation."""
    log_promotion: FloatArray
    """(n_cells,)"""
    units_closed: FloatArray
    """(n_cells,) the candidate's, since the stage began."""


class CheckStack:
    """The checks of one source, kind of test and evaluator, in all their slices."""

    def __init__(
        self, source: Source, checks: Mapping[int, Check], table: SliceTable, layout: RowLayout
    ) -> None:
        """`checks` have their numbers in the policy's order; there is at least one."""
        self.source = source
        self.checks = list(checks.values())
        self.evaluator = self.checks[0].evaluator
        """Of all of them; empty where none measures what they test."""
        sizes = [len(table.of_check[number]) for number in checks]
        self.test = StackedTest([check.test for check in self.checks], sizes)
        of_checks = StackedTest([check.test for check in self.checks], [1] * len(self.checks))
        self.effect_tests = EffectTests(self.test, of_checks)
        self.parts: dict[str, slice] = {}
        """By check, its cells."""
        start = 0
        for check, size in zip(self.checks, sizes, strict=True):
            self.parts[check.name] = slice(start, start + size)
            start += size
        self.n_cells = start
        self.places: IntArray = np.concatenate([table.places_of_check[number] for number in checks])
        """(n_cells,) of the cells' slices in the table."""
        fields = [np.arange(*layout.part(check.key).indices(layout.batch_width))
                  for check in self.checks]  # fmt: skip
        width = layout.batch_width
        self._numbers = self.places[:, None] * width + np.repeat(np.array(fields), sizes, axis=0)
        """(n_cells, k) where the cells' statistics are in a batch."""
        self.n_fields = self._numbers.shape[1]
        products = [np.arange(*layout.products_part(check).indices(width)) for check in self.checks]
        self._products = self.places[:, None] * width + np.repeat(np.array(products), sizes, axis=0)
        """(n_cells, …) where products of turns are."""
        self._layout, self._slices = layout, [table.of_check[number] for number in checks]
        gains = [_unresolved_gains(check, layout) for check in self.checks]
        self._worst: FloatArray = np.repeat(np.array(gains), sizes, axis=0)
        """(n_cells, gauges, k) what one unresolved request of each kind adds at its worst."""
        self._tails = [
            (place, table.of_check[number][place - self.parts[check.name].start], check)
            for number, check in checks.items()
            if check.is_tail
            for place in range(*self.parts[check.name].indices(self.n_cells))
        ]
        self.effect = EffectCells.of(
            [(check.test, table.of_check[number]) for number, check in checks.items()]
        )
        self._resting_on_field = [
            (self.parts[check.name], check.metric.name)
            for check in self.checks
            if missing_says_yes(check.metric.name)
        ]
        self._key: list[object] = []

    def statistics(self, batches: FloatArray) -> FloatArray:
        """Return what windows hold, of batches (T, all slices, width): (T, n_cells, k)."""
        n_windows, n_slices, width = batches.shape
        return np.take(batches.reshape(n_windows, n_slices * width), self._numbers, axis=1)

    def together(self, statistics: FloatArray) -> FloatArray:
        """Return what a window holds for all requests of each check, (n_checks, k).

        `statistics` are (n_cells, k).
        """
        return np.array(
            [
                together_of(names, statistics[part])
                for names, part in zip(self._slices, self.parts.values(), strict=True)
            ]
        )

    def turn_sums(self, batch: FloatArray, is_counted: BoolArray) -> TurnSums:
        """Return what a window says about turns, of a batch (all slices, width), by cell.

        Nothing where it is not counted, (n_cells,).
        """
        turns, requests = self._layout.turn_counts(batch[self.places], self.evaluator)
        width = self._products.shape[1] // PARTIES
        products = batch.reshape(-1)[self._products].reshape(self.n_cells, PARTIES, width)
        sums = np.concatenate([turns, products], axis=-1)
        return TurnSums(
            np.where(is_counted[:, None, None], sums, 0.0),
            np.where(is_counted[:, None], requests, 0.0),
        )

    def counts(self, starts_ms: IntArray, measured_since: MeasuredSince) -> BoolArray | None:
        """Return which windows count for each cell, (T, n_cells); None where all do."""
        if not self._resting_on_field:
            return None
        result = np.ones((starts_ms.size, self.n_cells), dtype=np.bool_)
        for part, metric in self._resting_on_field:
            result[:, part] = (starts_ms >= measured_since.counts_from_ms(metric))[:, None]
        return result

    def read(
        self,
        batches: FloatArray,
        gauges: FloatArray,
        starts_ms: IntArray,
        thresholds: TailThresholds,
        at: tuple[IntArray, IntArray],
    ) -> tuple[FloatArray, FloatArray]:
        """Return what some windows hold in some cells, and that at its worst, (m, k) each.

        Batches are (T, all slices, width), their gauges (T, all slices, gauges).
        """
        steps, cells = at
        flat = batches.reshape(len(batches), -1)
        held = worst = flat[steps[:, None], self._numbers[cells]]
        if not self.test.has_worst:
            return held, held
        waiting = gauges[steps, self.places[cells]]
        waits = np.flatnonzero(waiting.any(axis=-1))
        if waits.size:
            worst = held.copy()
            some = cells[waits]
            added = np.matmul(waiting[waits, None, :], self._worst[some])[:, 0]
            if self._tails:
                added[starts_ms[steps[waits]] < self._tails_from_ms(thresholds)[some]] = 0.0
            worst[waits] += added
        return held, worst

    def unresolved(
        self, gauges: FloatArray, starts_ms: IntArray, thresholds: TailThresholds
    ) -> FloatArray:
        """Return what unresolved requests add at their worst for a rollback, (T, n_cells, k).

        `gauges` are (T, all slices, gauges), whole numbers, so any order of adding gives the same.
        """
        added: FloatArray = np.matmul(gauges[:, self.places, None, :], self._worst)[:, :, 0]
        if self._tails:
            added[starts_ms[:, None] < self._tails_from_ms(thresholds)] = 0.0
        return added

    def rests_on(self, thresholds: TailThresholds, measured_since: MeasuredSince) -> object:
        """Return what is another value when windows are to be read anew."""
        counted = [measured_since.counts_from_ms(metric) for _, metric in self._resting_on_field]
        return counted, self._tails_from_ms(thresholds).tolist() if self._tails else []

    def _tails_from_ms(self, thresholds: TailThresholds) -> IntArray:
        """Return from which window on a tail is known in each cell, (n_cells,)."""
        since = np.full(self.n_cells, np.iinfo(np.int64).min)
        for place, name, check in self._tails:
            threshold = thresholds.get(name, {}).get(check.metric.measure)
            entries = threshold.entries if threshold else []
            since[place] = min((one.since_ms for one in entries), default=NEVER_MS)
        return since

    def known(
        self,
        evidence: Mapping[str, CheckEvidence],
        effects: Mapping[str, DesignEffect],
        assumption: Assumption,
    ) -> Known:
        """Return what folded windows say; computed anew where some check's evidence is another."""
        own = [evidence[check.name] for check in self.checks]
        of_checks = [effects[check.name] for check in self.checks]
        key = _identity(own, of_checks)
        if len(key) != len(self._key) or any(
            one is not other for one, other in zip(key, self._key, strict=True)
        ):
            self._key = key
            self._known = self.known_of(
                CheckEvidence.stacked(own), StackedEffects.of(of_checks), assumption
            )
        return self._known

    def known_of(
        self, evidence: CheckEvidence, effects: StackedEffects, assumption: Assumption
    ) -> Known:
        """Return what folded windows say, given the evidence and the effects of all cells."""
        sizes = [len(names) for names in self._slices]
        return Known(
            evidence=evidence,
            effects=effects,
            correlation=correlations(self.effect, effects.named),
            unnamed=np.repeat(effects.unnamed_factors(assumption), sizes),
            log_promotion=log_evidence(evidence.won),
            units_closed=self.test.units(evidence.closed),
        )

    def replace(
        self,
        evidence: MutableMapping[str, CheckEvidence],
        effects: MutableMapping[str, DesignEffect],
        known: Known,
    ) -> None:
        """Replace what is known of each check after a window was folded."""
        own = known.evidence.parts(self._slices, self.parts.values())
        of_checks = known.effects.split(self._slices)
        for check, part, effect in zip(self.checks, own, of_checks, strict=True):
            evidence[check.name], effects[check.name] = part, effect
        self._key, self._known = _identity(own, of_checks), known


class CheckStacks:
    """All checks of a policy, stacked, with the slices that have turned up."""

    def __init__(
        self, checks: Sequence[Check], table: SliceTable, layouts: Mapping[Source, RowLayout]
    ) -> None:
        self._checks, self._table = checks, table
        self.of_source: dict[Source, list[CheckStack]] = {
            source: list(_stacks(source, checks, table, layouts[source])) for source in SOURCES
        }
        self.of_check: dict[str, CheckStack] = {
            name: stack
            for stacks in self.of_source.values()
            for stack in stacks
            for name in stack.parts
        }
        ends = np.cumsum([0, *(len(one) for one in table.of_check)]).tolist()
        self.in_order: list[slice] = [slice(start, end) for start, end in pairwise(ends)]
        """By check, its cells where all cells are in the order of checks."""
        self.n_cells: int = ends[-1]
        order = {check.name: part for check, part in zip(checks, self.in_order, strict=True)}
        self.places_in_order: dict[Source, IntArray] = {
            source: np.concatenate(
                [np.zeros(0, np.int64)]
                + [np.arange(order[name].start, order[name].stop)
                   for stack in stacks for name in stack.parts]
            )
            for source, stacks in self.of_source.items()
        }  # fmt: skip
        """By source, where the cells of its stacks, one after the other, are in that order."""
        self._weighted_cells: dict[Action, tuple[IntArray, FloatArray]] = {}

    def log_evidence(self, evidence: Mapping[str, CheckEvidence]) -> FloatArray:
        """Return the log rollback evidence of folded windows, (n_cells,) in that order."""
        result = np.zeros(self.n_cells)
        for source, stacks in self.of_source.items():
            wealth = [
                log_evidence(np.concatenate([evidence[name].log_wealth for name in stack.parts]))
                for stack in stacks
            ]
            if wealth:
                result[self.places_in_order[source]] = np.concatenate(wealth)
        return result

    @cached_property
    def names(self) -> list[str]:
        """Of all cells in the order of checks, `check/slice`."""
        return [
            f"{check.name}/{name}"
            for check, slices in zip(self._checks, self._table.of_check, strict=True)
            for name in slices
        ]

    def weighted_cells(self, action: Action) -> tuple[IntArray, FloatArray]:
        """Return the cells of an action, (m,) places in that order, and logs of their weights."""
        if action not in self._weighted_cells:
            cells = np.flatnonzero(self.of_action(action))
            self._weighted_cells[action] = cells, self.log_weights[cells]
        return self._weighted_cells[action]

    @cached_property
    def log_weights(self) -> FloatArray:
        """(n_cells,) logs of the share of its action's error that each has, in that order."""
        with np.errstate(divide="ignore"):
            logs: FloatArray = np.log(np.concatenate([np.zeros(0), *self._table.weights]))
        return logs

    def of_action(self, action: Action) -> BoolArray:
        """(n_cells,) those of an action, in that order."""
        return np.repeat(
            np.array([check.action == action for check in self._checks], dtype=np.bool_),
            [len(one) for one in self._table.of_check],
        )


def _stacks(
    source: Source, checks: Sequence[Check], table: SliceTable, layout: RowLayout
) -> Iterator[CheckStack]:
    by_kind: dict[tuple[type, str], dict[int, Check]] = {}
    for number, check in enumerate(checks):
        if check.source == source:
            kind = type(check.test), check.evaluator
            by_kind.setdefault(kind, {})[number] = check
    for of_kind in by_kind.values():
        yield CheckStack(source, of_kind, table, layout)


def _identity(evidence: Sequence[CheckEvidence], effects: Sequence[DesignEffect]) -> list[object]:
    """Return what is another object whenever evidence or effects have changed.

    Their arrays are replaced, never written to: the same ones hold the same.
    """
    return [part for one in evidence for part in (one.won, one.log_wealth)] + list[object](effects)


def _unresolved_gains(check: Check, layout: RowLayout) -> FloatArray:
    """Return what one unresolved request of each gauge adds to a check's statistics, (gauges, k).

    Readers are linear in gauges, and a mean has no worst.
    """
    n = len(layout.gauges)
    if not check.has_worst:
        return np.zeros((n, len(check.test.fields)))
    one_each = dict(zip(layout.gauges, np.eye(n), strict=True))
    columns = RowColumns(np.ones(n, dtype=np.bool_), one_each)
    if check.reader is not None:
        return check.reader.unresolved(columns)
    return check.tail.unresolved(columns, 0)
