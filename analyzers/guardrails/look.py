"""A look: what the evidence of all checks says now, open windows included; it changes none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.check_stacks import CheckStacks, Known
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evidence_path import (
    BestPrefix,
    LookBasis,
    OpenWindows,
    best_prefix,
)
from understudy.analyzers.guardrails.fold_window import assumption_of
from understudy.analyzers.guardrails.sequential_tests import carried
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.bets import FloatArray, log_evidence
from understudy.schemas.rollouts import Action, Rollout
from understudy.schemas.windows import SOURCES

ACTIONS: Final[tuple[Action, ...]] = ("rollback", "pause", "alert")


class CheckLook:
    """One check in all its slices; arrays are (n_slices, …)."""

    def __init__(
        self,
        check: Check,
        weights: FloatArray,
        evidence: CheckEvidence,
        opened: OpenWindows,
        cells: slice,
        log_rollback: FloatArray,
        log_alone: FloatArray,
    ) -> None:
        """`opened` has more cells than those of the check, which are `cells`."""
        self.check = check
        self.weights = weights
        self.slices = evidence.slices
        self.log_rollback = log_rollback
        """At the best prefix of the check's action; -inf before any unit."""
        self.log_alone = log_alone
        """At the best prefix of each slice by itself."""
        self.design_effect = opened.design_effect[cells]
        self._evidence, self._opened, self._cells = evidence, opened, cells

    @cached_property
    def names(self) -> list[str]:
        """`check/slice`"""
        return [f"{self.check.name}/{name}" for name in self.slices]

    @cached_property
    def log_promotion(self) -> FloatArray:
        """Of folded windows since the stage began."""
        return log_evidence(self._evidence.won)

    @cached_property
    def units_closed(self) -> FloatArray:
        """The candidate's units in folded windows since the stage began."""
        return self.check.test.units(self._evidence.closed)

    @cached_property
    def _open_units(self) -> FloatArray:
        result: FloatArray = self._open_statistics.sum(axis=0)
        return result

    @property
    def _open_statistics(self) -> FloatArray:
        return self._opened.statistics[:, self._cells]

    @cached_property
    def newest(self) -> FloatArray:
        """(…, k) units of the newest windows: open ones, and those folded within minutes."""
        return self._evidence.newest + self._open_units

    @property
    def newest_since_ms(self) -> int:
        """Where `newest` begins; -1 before any window."""
        starts, folded_ms = self._opened.starts_ms, self._evidence.newest_since_ms
        return int(starts[0]) if folded_ms < 0 and starts.size else folded_ms

    @cached_property
    def total(self) -> FloatArray:
        """(…, k) all units since the rollout began, early ones included."""
        return self._evidence.total + self._open_units

    def leave_out(self) -> None:
        """Show nothing of a check that is not measured: what it counts says nothing."""
        self.log_rollback = self.log_alone = np.full(len(self.slices), -np.inf)
        self.newest = self.total = np.zeros_like(self._evidence.total)
        self.units_closed = np.zeros(len(self.slices))
        self.log_promotion = log_evidence(np.zeros_like(self._evidence.won))

    def waits_for_other_arm(self, place: int) -> bool:
        """Whether there were units in a slice, and none of the other arm to compare them with."""
        ready, waiting = self.check.test.split(self.total[place])
        return bool(waiting.any() and not ready.any())

    def waits_for_scale(self, place: int) -> bool:
        """Whether a mean's variance is not known yet."""
        return not self.check.has_worst and self.interval_rests_on[1][place, 0] <= 0.0

    @cached_property
    def interval_rests_on(self) -> tuple[FloatArray, FloatArray]:
        """The sums and the scale after the open windows, of what has come so far, (…, 3) each.

        Of means alone: other intervals follow from the total.
        """
        test, evidence = self.check.test, self._evidence
        if self.check.has_worst:
            return evidence.interval_sums, evidence.scale
        counts = self._opened.counts_for_rollback[:, None, None]
        judged = self._open_statistics * counts
        ready, _ = carried(test, judged, evidence.waiting)
        scales = test.scales_before(ready, evidence.scale)
        sums = test.interval_sums(ready, scales[:-1]).sum(axis=0)
        return evidence.interval_sums + sums, scales[-1]


def intervals(checks: Sequence[CheckLook], alpha: float) -> list[FloatArray]:
    """Return where the harm of each check lies in each slice, (n_slices, 2) each.

    `alpha` is for both ends together. Checks whose intervals follow from their totals in the same
    way are searched together: what a search costs hardly depends on how many there are.
    """
    alike: dict[object, list[int]] = {}
    for place, one in enumerate(checks):
        alike.setdefault(one.check.test.interval_kind, []).append(place)
    found: dict[int, FloatArray] = {}
    for places in alike.values():
        own = [checks[place] for place in places]
        together = own[0].check.test.interval(
            np.concatenate([one.total for one in own]),
            np.concatenate([one.interval_rests_on[0] for one in own]),
            np.concatenate([one.interval_rests_on[1] for one in own]),
            alpha,
            np.concatenate([one.design_effect for one in own]),
        )
        ends = np.cumsum([len(one.slices) for one in own])
        found |= dict(zip(places, np.split(together, ends[:-1]), strict=True))
    return [found[place] for place in range(len(checks))]


class Look(NamedTuple):
    """All checks, and the evidence of each action at its best prefix."""

    checks: list[CheckLook]
    log_evidence: dict[Action, float]


def look(rollout: Rollout, state: RolloutState) -> Look:
    """Return what the evidence says now."""
    stacks = state.stacks
    path, opened = _path(rollout, state)
    if state.passed:
        path = np.concatenate([np.array(state.passed), path])
    best = {action: _best(stacks, path, action) for action in ACTIONS}
    at_best = {action: path[one.prefix] for action, one in best.items()}
    alone = path.max(axis=0)
    checks = []
    for check, weights, cells in zip(
        state.checks, state.table.weights, stacks.in_order, strict=True
    ):
        stack = stacks.of_check[check.name]
        part, known = stack.parts[check.name], opened[id(stack)].known
        one = CheckLook(
            check,
            weights,
            state.evidence[check.name],
            opened[id(stack)].windows,
            part,
            log_rollback=at_best[check.action][cells],
            log_alone=alone[cells],
        )
        one.names = stacks.names[cells]
        one.log_promotion, one.units_closed = known.log_promotion[part], known.units_closed[part]
        if not state.measured_since.is_measured(check.metric.name):
            one.leave_out()
        checks.append(one)
    return Look(checks, {action: one.log_evidence for action, one in best.items()})


class _Opened(NamedTuple):
    """A stack of checks: what folded windows say, and what open ones hold."""

    known: Known
    windows: OpenWindows


def _best(stacks: CheckStacks, path: FloatArray, action: Action) -> BestPrefix:
    cells, log_weights = stacks.weighted_cells(action)
    return best_prefix(path[:, cells], log_weights)


def _path(rollout: Rollout, state: RolloutState) -> tuple[FloatArray, dict[int, _Opened]]:
    """Return the evidence at every prefix of the open windows of all sources, (prefixes, cells).

    The cells are those of all checks in their order. With it comes what each stack, by identity,
    rests on.
    """
    stacks, status = state.stacks, state.status
    starts = {source: np.array(state.stores[source].starts(), np.int64) for source in SOURCES}
    prefixes = np.unique(np.concatenate(list(starts.values())))
    path = np.full((len(prefixes) + 1, stacks.n_cells), -np.inf)
    opened: dict[int, _Opened] = {}
    assumption = assumption_of(rollout)
    basis = LookBasis(
        state.tail_thresholds, state.measured_since, status.forgiven_through_ms, assumption
    )
    for source, of_source in state.paths.items():
        sums, own = state.sums[source], stacks.of_source[source]
        sums.update(state.stores[source])
        known = [stack.known(state.evidence, state.effects, assumption) for stack in own]
        of_source.update(sums, known, basis)
        for place, (stack, one) in enumerate(zip(own, known, strict=True)):
            opened[id(stack)] = _Opened(one, of_source.opened(place, basis))
        included = np.searchsorted(starts[source], prefixes, side="right")
        path[:, stacks.places_in_order[source]] = of_source.held[np.concatenate([[0], included])]
    return path, opened
