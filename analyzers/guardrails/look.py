"""A look: what the evidence of all checks says now, open windows included; it changes none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.apply_windows import assumption_of, batch_of
from understudy.analyzers.guardrails.check_evidence import CheckEvidence
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.column_tests import carried
from understudy.analyzers.guardrails.design_effect import divisors
from understudy.analyzers.guardrails.evidence_path import (
    BestPrefix,
    Cell,
    OpenWindows,
    best_prefix,
    log_evidence_path,
)
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.guardrails.row_layout import tail_buckets
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.bets import FloatArray, IntArray, log_evidence
from understudy.schemas.rollouts import Action, Rollout
from understudy.schemas.windows import SOURCES, Source

ACTIONS: Final[tuple[Action, ...]] = ("rollback", "pause", "alert")


class CheckLook:
    """One check in all its slices; arrays are (n_slices, …)."""

    def __init__(
        self,
        check: Check,
        weights: FloatArray,
        evidence: CheckEvidence,
        opened: OpenWindows,
        log_rollback: FloatArray,
        log_alone: FloatArray,
    ) -> None:
        self.check = check
        self.weights = weights
        self.slices = evidence.slices
        self.log_rollback = log_rollback
        """At the best prefix of the check's action; -inf before any unit."""
        self.log_alone = log_alone
        """At the best prefix of each slice by itself."""
        self.design_effect = opened.design_effect[-1]
        self._evidence, self._opened = evidence, opened

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
        result: FloatArray = self._opened.statistics.sum(axis=0)
        return result

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

    def waits_for_other_arm(self, place: int) -> bool:
        """Whether there were units in a slice, and none of the other arm to compare them with."""
        ready, waiting = self.check.test.split(self.total[place])
        return bool(waiting.any() and not ready.any())

    def waits_for_scale(self, place: int) -> bool:
        """Whether a mean's variance is not known yet."""
        return not self.check.has_worst and self._interval_rests_on[1][place, 0] <= 0.0

    def intervals(self, alpha: float) -> FloatArray:
        """Return where the harm in each slice lies, (…, 2), `alpha` for both ends together."""
        sums, scale = self._interval_rests_on
        return self.check.test.interval(self.total, sums, scale, alpha, self.design_effect)

    @cached_property
    def _interval_rests_on(self) -> tuple[FloatArray, FloatArray]:
        """The sums and the scale after the open windows, of what has come so far."""
        test, evidence = self.check.test, self._evidence
        judged = self._opened.statistics * self._opened.counts_for_rollback[:, None, None]
        ready, _ = carried(test, judged, evidence.waiting)
        scales = test.scales_before(ready, evidence.scale)
        sums = test.interval_sums(ready, scales[:-1]).sum(axis=0)
        return evidence.interval_sums + sums, scales[-1]


class Look(NamedTuple):
    """All checks, and the evidence of each action at its best prefix."""

    checks: list[CheckLook]
    log_evidence: dict[Action, float]


def look(rollout: Rollout, state: RolloutState) -> Look:
    """Return what the evidence says now."""
    opened = {check.name: one for check, one in _opened(rollout, state)}
    path = _path(state, opened)
    ends = np.cumsum([len(slices) for slices in state.table.of_check])
    best = {action: _best(state, path, action) for action in ACTIONS}
    checks = []
    for check, weights, end in zip(state.checks, state.table.weights, ends, strict=True):
        evidence = state.evidence[check.name]
        of_check = path[:, end - len(weights) : end]
        checks.append(
            CheckLook(
                check,
                weights,
                evidence,
                opened[check.name],
                log_rollback=of_check[best[check.action].prefix],
                log_alone=of_check.max(axis=0),
            )
        )
    return Look(checks, {action: one.log_evidence for action, one in best.items()})


def _best(state: RolloutState, path: FloatArray, action: Action) -> BestPrefix:
    is_of_action = np.repeat(
        [check.action == action for check in state.checks],
        [len(weights) for weights in state.table.weights],
    )
    weights = np.concatenate(state.table.weights)[is_of_action]
    with np.errstate(divide="ignore"):
        return best_prefix(path[:, is_of_action], np.log(weights))


def _path(state: RolloutState, opened: dict[str, OpenWindows]) -> FloatArray:
    """Return the evidence at every prefix of the open windows of all sources, (prefixes, cells)."""
    starts = {source: np.array(state.stores[source].starts(), np.int64) for source in SOURCES}
    prefixes = np.unique(np.concatenate(list(starts.values())))
    ends = np.cumsum([len(weights) for weights in state.table.weights]).tolist()
    path = np.full((len(prefixes) + 1, ends[-1] if ends else 0), -np.inf)
    for source, of_source in starts.items():
        cells = [
            Cell(
                check.test,
                state.evidence[check.name],
                opened[check.name],
                check.has_worst,
                state.caches[check.name],
            )
            for check in state.checks
            if check.source == source
        ]
        if not cells:
            continue
        places = np.concatenate(
            [
                np.arange(end - len(weights), end)
                for check, weights, end in zip(state.checks, state.table.weights, ends, strict=True)
                if check.source == source
            ]
        )
        included = np.concatenate([[0], np.searchsorted(of_source, prefixes, side="right")])
        path[:, places] = log_evidence_path(cells)[included]
    return path


def _opened(rollout: Rollout, state: RolloutState) -> Iterator[tuple[Check, OpenWindows]]:
    """Yield what the open windows hold for each check."""
    batches = {source: _open_batches(state, source) for source in SOURCES}
    for check, places in zip(state.checks, state.table.places_of_check, strict=True):
        layout = state.layouts[check.source]
        starts = np.array(state.stores[check.source].starts(), np.int64)
        of_check = batches[check.source]
        statistics = of_check[:, places, layout.part(check.key)]
        gauges = of_check[:, places, layout.gauges_in_batch]
        is_resolved = np.asarray(~gauges.any(axis=-1))
        at_worst = statistics
        if not is_resolved.all() and check.has_worst:
            at_worst = statistics + _unresolved(state, check, starts, gauges)
        turns = layout.turn_sums(check, of_check, places)
        counts = starts > state.status.forgiven_through_ms
        effect = divisors(
            check.test, state.effects[check.name], turns.with_none_after(), assumption_of(rollout)
        )
        yield check, OpenWindows(starts, statistics, at_worst, is_resolved, counts, effect)


def _open_batches(state: RolloutState, source: Source) -> FloatArray:
    """Return the sums of all open windows, (T, n_slices, batch_width)."""
    store, known = state.stores[source], state.batches[source]
    starts = store.starts()
    for start_ms in starts:
        if start_ms not in known:
            known[start_ms] = batch_of(state, source, store.rows_of(start_ms))
    shape = (len(starts), len(state.table.names), state.layouts[source].batch_width)
    return np.array([known[start_ms] for start_ms in starts]).reshape(shape)


def _unresolved(
    state: RolloutState, check: Check, starts_ms: IntArray, gauges: FloatArray
) -> FloatArray:
    """Return what unresolved requests would add at their worst for a rollback, (T, n_slices, k)."""
    names = state.layouts[check.source].gauges
    flat = gauges.reshape(-1, len(names))
    columns = RowColumns(
        np.ones(len(flat), dtype=np.bool_),
        {name: flat[:, place] for place, name in enumerate(names)},
    )
    if check.reader is not None:
        added = check.reader.unresolved(columns)
    else:
        slices = state.evidence[check.name].slices
        buckets = [
            tail_buckets(check, state.tail_thresholds, name, start_ms)[0]
            for start_ms in starts_ms.tolist()
            for name in slices
        ]
        added = check.tail.unresolved(columns, np.array(buckets))
    return added.reshape(*gauges.shape[:-1], -1)
