"""Fold many complete windows at once, and look after each: for a backtest.

Nothing waits in a window that is complete, so its evidence is what folding it gives, and that is
the same arithmetic for a thousand windows as for one, with the windows along the first axis. What
is left to do one by one is to evaluate the policy on what the arrays hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.closed_rows import ClosedRows
from understudy.analyzers.guardrails.column_readers import NO_BUCKET
from understudy.analyzers.guardrails.design_effect import together_of
from understudy.analyzers.guardrails.design_effect_steps import DesignEffectSteps, EffectWindows
from understudy.analyzers.guardrails.evaluate import thresholds_of
from understudy.analyzers.guardrails.evidence_path import OpenWindows
from understudy.analyzers.guardrails.evidence_steps import EvidenceSteps, FoldedWindows
from understudy.analyzers.guardrails.fold_window import assignment_of, assumption_of
from understudy.analyzers.guardrails.look import ACTIONS, CheckLook, Look
from understudy.analyzers.guardrails.measured import ENOUGH_MEASURED, are_awaited
from understudy.analyzers.guardrails.measured_since import (
    NEVER_MS,
    counts_from_ms,
    shown_in,
)
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.slice_table import NO_PLACE
from understudy.analyzers.guardrails.stage_counts import (
    ARRIVED_COLUMNS,
    MODEL_COLUMNS,
    STAGE_COLUMNS,
    StageSums,
    counts_for,
)
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.tail_thresholds import (
    ClosedHistograms,
    TailThreshold,
    ThresholdEntry,
)
from understudy.analyzers.guardrails.turn_readers import COUNT_WIDTH
from understudy.analyzers.guardrails.window_store import PartitionRows
from understudy.analyzers.sequential.bets import (
    BoolArray,
    FloatArray,
    IntArray,
    log_evidence,
    log_sum_exp,
)
from understudy.analyzers.sequential.verdict import LOG_SUSPICION
from understudy.schemas.rollout_metrics import TIMES
from understudy.schemas.rollouts import Action, Rollout
from understudy.schemas.windows import SOURCES, Source

MOST_WINDOWS: Final = 512
"""Windows folded at once: enough that arrays pay, few enough for memory."""
FEW_MORE: Final = 128
"""Windows that are rather folded with those before: to fold few costs nearly as much as many."""
_CANDIDATE_REQUESTS: Final = StageSums._fields.index("candidate_model_requests")
FEWEST_WINDOWS: Final = 16
"""The same after something has changed: what follows is folded again when more changes."""


def columns_needed(rollout: Rollout) -> frozenset[str]:
    """Return the columns of windows that a backtest of a policy needs."""
    checks = checks_of(rollout)
    names = {name for part in (*STAGE_COLUMNS, *ARRIVED_COLUMNS) for name in part}
    return frozenset(names).union(MODEL_COLUMNS, RowLayout(checks).names)


def starts_of(rows: Sequence[ClosedRows]) -> IntArray:
    """Return the windows of the rows of all sources, by their starts."""
    return np.unique(np.concatenate([np.zeros(0, np.int64), *(one.start_ms for one in rows)]))


def known_until(state: RolloutState, rows: Sequence[ClosedRows], starts: IntArray) -> int:
    """Return how many windows come before one with a slice that has no place in arrays yet.

    If that is the first one, what it brings gets a place now.
    """
    new = [_first_new(state, one) for one in rows]
    until = min((int(np.searchsorted(starts, start)) for start in new if start is not None),
                default=len(starts))  # fmt: skip
    if until == 0:
        _note_arrivals(state, rows, int(starts[0]))
        return known_until(state, rows, starts)
    return until


def _first_new(state: RolloutState, rows: ClosedRows) -> int | None:
    """Return the start of the first window with a language or workflow that would be noted."""
    is_new = np.zeros(rows.n, dtype=np.bool_)
    for labels, is_taken in (
        (rows.language, state.arrivals.takes_language),
        (rows.workflow, state.arrivals.takes_workflow),
    ):
        taken = np.array([is_taken(value) for value in labels.values], dtype=np.bool_)
        is_new |= taken[labels.codes]
    return int(rows.start_ms[np.argmax(is_new)]) if is_new.any() else None


def _note_arrivals(state: RolloutState, rows: Sequence[ClosedRows], start_ms: int) -> None:
    for one in rows:
        for place in np.flatnonzero(one.start_ms == start_ms).tolist():
            language = one.language.values[one.language.codes[place]]
            state.arrivals.note(language, one.workflow.values[one.workflow.codes[place]])
    state.cover_arrivals()


class ClosedFold:
    """T windows of all sources on top of a state, which does not change until `take`."""

    def __init__(
        self, rollout: Rollout, state: RolloutState, rows: Sequence[ClosedRows], starts: IntArray
    ) -> None:
        """`starts` (T,) are the windows' starts; all slices have their places."""
        self._state = state
        of_source = {one.source: one for one in rows if one.n}
        self._sources = {
            source: _SourceFold(rollout, state, source, of_source.get(source)) for source in SOURCES
        }
        self._included = {
            source: np.searchsorted(one.starts, starts, side="right")
            for source, one in self._sources.items()
        }
        self._path = self._log_evidence(len(starts))
        self._sums = {action: self._weighted(action) for action in ACTIONS}
        self._may_differ = self._differences(rollout)

    @property
    def n(self) -> int:
        """How many windows there are."""
        return len(self._path)

    def note(self, step: int) -> None:
        """Note the time and the requests of a window, which is evaluated next."""
        status = self._state.status
        for source, fold in self._sources.items():
            included = self._included[source]
            for place in range(int(included[step - 1]) if step else 0, int(included[step])):
                fold.note(place)
        status.decided_ms = status.event_ms

    def may_differ(self, step: int) -> bool:
        """Return whether evidence may lead to another verdict or alert than a window before.

        How far the stage has come, its quality, and which models answer, are not asked.
        """
        return bool(self._may_differ[step])

    def look(self, step: int) -> Look:
        """Return what the evidence says after a window."""
        checks, end = [], 0
        for check, weights in zip(self._state.checks, self._state.table.weights, strict=True):
            start, end = end, end + len(weights)
            included = int(self._included[check.source][step])
            fold = self._sources[check.source]
            checks.append(fold.look(check, weights, included, self._path[step, start:end]))
        return Look(checks, {action: float(sums[step]) for action, sums in self._sums.items()})

    def take(self, n_windows: int) -> None:
        """Fold the first windows into the state."""
        for source, fold in self._sources.items():
            fold.take(int(self._included[source][n_windows - 1]) if n_windows else 0)

    def _differences(self, rollout: Rollout) -> BoolArray:
        """Return where a look may find what the one before it did not.

        Verdicts and alerts follow from which numbers have reached which limits; evidence may fall
        below one again. Where evidence is beyond that of an action, what carries it matters as
        well, and may differ at any window.
        """
        thresholds = thresholds_of(rollout, rollout.stages[self._state.status.stage])
        events = self._sources["events"]
        seen = self._state.stage.requests + events.requests_so_far[self._included["events"]]
        sums = np.stack(list(self._sums.values()), axis=1)
        is_beyond = sums >= thresholds.log_rollback
        asked = [is_beyond, self._sums["rollback"][:, None] >= thresholds.log_promotion]
        end = 0
        for check, weights in zip(self._state.checks, self._state.table.weights, strict=True):
            start, end = end, end + len(weights)
            included = self._included[check.source]
            of_check = self._sources[check.source].shown(check, included)
            asked += [
                of_check.is_measured[:, None],
                of_check.log_promotion >= thresholds.log_promotion,
                self._path[:, start:end] >= LOG_SUSPICION,
                of_check.units >= thresholds.min_requests,
                of_check.units >= ENOUGH_MEASURED,
                are_awaited(of_check.units, seen[:, None], thresholds.min_requests),
            ]
        reached = np.concatenate(asked, axis=1)
        differs = np.ones(len(self._path), dtype=np.bool_)
        differs[1:] = (reached[1:] != reached[:-1]).any(axis=1)
        differs |= is_beyond.any(axis=1)
        return differs

    def _log_evidence(self, n_windows: int) -> FloatArray:
        """Return the log rollback evidence of all checks and slices after each window, (T, n)."""
        path = [np.zeros((n_windows, 0))]
        for check in self._state.checks:
            evidence = self._sources[check.source].log_rollback(check)
            path.append(evidence[self._included[check.source]])
        return np.concatenate(path, axis=1)

    def _weighted(self, action: Action) -> FloatArray:
        """Return the log of the weighted sum of an action's evidence after each window, (T,)."""
        weights = self._state.table.weights
        is_of_action = np.repeat(
            [check.action == action for check in self._state.checks], [len(one) for one in weights]
        ).astype(np.bool_)
        if not is_of_action.any():
            return np.full(len(self._path), -np.inf)
        with np.errstate(divide="ignore"):
            logs = np.log(np.concatenate(weights)[is_of_action])
        return log_sum_exp(self._path[:, is_of_action] + logs)


class _Steps(NamedTuple):
    """A check at each of the windows of its source."""

    evidence: EvidenceSteps
    effect: DesignEffectSteps
    log_promotion: FloatArray
    """(T + 1, n_slices)"""
    units_closed: FloatArray
    """(T + 1, n_slices)"""
    nothing_open: OpenWindows


class _Shown(NamedTuple):
    """What a check shows after each of T windows."""

    is_measured: BoolArray
    """(T,)"""
    log_promotion: FloatArray
    """(T, n_slices)"""
    units: FloatArray
    """(T, n_slices) of the candidate since the stage began."""


class _Tail:
    """Where stable's tail begins in the windows, for one slice and measure."""

    def __init__(self, before: TailThreshold, histograms: ClosedHistograms) -> None:
        self._before, self._histograms = before, histograms
        self._after = copy(before)
        self.held: list[ThresholdEntry] = self._after.learn_windows(histograms)
        """All that hold for some window."""

    def taken(self, n_windows: int) -> TailThreshold:
        """Return what is known after so many windows."""
        if n_windows == self._histograms.unseen_from_ms.size:
            return self._after
        threshold = copy(self._before)
        threshold.learn_windows(self._histograms.first(n_windows))
        return threshold


class _SourceFold:
    """The windows of one source."""

    def __init__(
        self, rollout: Rollout, state: RolloutState, source: Source, rows: ClosedRows | None
    ) -> None:
        self._rollout, self._state, self._source = rollout, state, source
        self._stage = rollout.stages[state.status.stage]
        self.starts: IntArray = np.zeros(0, dtype=np.int64)
        shape = 0, len(state.table.names), state.layouts[source].batch_width
        batches = of_stage = np.zeros(shape)
        self._tails: dict[tuple[str, str], _Tail] = {}
        self._partitions: dict[int, IntArray] = {}
        self._measured_since_ms = dict(state.measured_since.start_ms)
        if rows is not None:
            self._note_measured(rows)
            batches, of_stage = self._read(rows)
        self._checks = {
            check.name: self._steps(check, places, batches, of_stage)
            for check, places in zip(state.checks, state.table.places_of_check, strict=True)
            if check.source == source
        }

    @property
    def requests_so_far(self) -> IntArray:
        """The stage's requests in these windows, before each and after the last, (T + 1,)."""
        if self._source != "events" or not self.starts.size:
            return np.zeros(1 + self.starts.size, dtype=np.int64)
        of_windows = self._stage_sums[:, _CANDIDATE_REQUESTS] * self._is_of_stage
        return np.concatenate([[0], np.cumsum(of_windows)])

    def shown(self, check: Check, included: IntArray) -> _Shown:
        """Return what a check shows after so many windows, (T,) of them."""
        steps, metric = self._checks[check.name], check.metric.name
        since_ms = self._measured_since_ms.get(metric, NEVER_MS)
        is_measured = np.concatenate([[False], since_ms <= self.starts])[included]
        if self._state.measured_since.is_measured(metric):
            is_measured = np.ones(included.size, dtype=np.bool_)
        return _Shown(is_measured, steps.log_promotion[included], steps.units_closed[included])

    def log_rollback(self, check: Check) -> FloatArray:
        """Return a check's log rollback evidence before the windows and after each, (T + 1, n)."""
        wealth = self._checks[check.name].evidence.log_wealth
        return log_evidence(wealth)

    def note(self, place: int) -> None:
        """Note the time and the requests of a window."""
        status, counts = self._state.status, self._state.stage
        start_ms, end_ms = int(self.starts[place]), int(self._ends_ms[place])
        status.watermark_ms = max(status.watermark_ms, end_ms)
        if self._source != "events":
            return
        status.newest_window_ms = max(status.newest_window_ms, start_ms)
        status.newest_window_end_ms = max(status.newest_window_end_ms, end_ms)
        counts.add_arrived(*self._arrived[place].tolist())
        if self._is_of_stage[place]:
            models = (of_side[place] for of_side in self._models)
            sums = StageSums(*self._stage_sums[place].tolist(), *models)
            counts.add(sums, self._stage, start_ms, end_ms)
        if self._counts[place]:
            no_models: tuple[dict[str, int], ...] = ({}, {})
            counts.add_mirrored(StageSums(*self._mirrored[place].tolist(), *no_models))
        assigned = assignment_of(self._rollout, start_ms, self._assigned[place], is_late=False)
        counts.check_sample_ratio(self._stage, assigned)

    def look(
        self, check: Check, weights: FloatArray, included: int, log_rollback: FloatArray
    ) -> CheckLook:
        """Return a check after so many windows."""
        steps = self._checks[check.name]
        effect = steps.effect.of_looks[included]
        seen = CheckLook(
            check,
            weights,
            steps.evidence.at(included),
            steps.nothing_open._replace(design_effect=effect),
            slice(None),
            log_rollback=log_rollback,
            log_alone=log_rollback,
        )
        seen.log_promotion = steps.log_promotion[included]
        seen.units_closed = steps.units_closed[included]
        if not self._is_measured(check.metric.name, included):
            seen.leave_out()
        return seen

    def take(self, n_windows: int) -> None:
        """Fold the first windows into the state."""
        if not n_windows:
            return
        state, start_ms = self._state, int(self.starts[n_windows - 1])
        for name, steps in self._checks.items():
            state.evidence[name] = steps.evidence.taken(n_windows)
            state.effects[name] = steps.effect.at(n_windows)
        for (name, measure), tail in self._tails.items():
            state.tail_thresholds.setdefault(name, {})[measure] = tail.taken(n_windows)
        state.measured_since.start_ms |= {
            metric: since_ms
            for metric, since_ms in self._measured_since_ms.items()
            if since_ms <= start_ms
        }
        store = state.stores[self._source]
        store.folded_through_ms = start_ms
        for number, places in self._partitions.items():
            closed = places[places < n_windows]
            if closed.size:
                version = int(self._ends_ms[closed[-1]])
                newest_ms = int(self.starts[closed[-1]])
                store.partitions[number] = PartitionRows(version, newest_ms)

    def _read(self, rows: ClosedRows) -> tuple[FloatArray, FloatArray]:
        """Return the sums by window and slice of all rows, and of those of the stage."""
        state, layout = self._state, self._state.layouts[self._source]
        self.starts, steps = np.unique(rows.start_ms, return_inverse=True)
        self._ends_ms = np.zeros_like(self.starts)
        np.maximum.at(self._ends_ms, steps, rows.start_ms + 1000 * rows.window_s)
        for number in np.unique(rows.partition).tolist():
            self._partitions[number] = np.unique(steps[rows.partition == number])
        places = self._places(rows)
        if self._source == "events":
            self._learn_tails(rows, steps, places)
            self._count_for_stage(rows, steps)

        def buckets(check: Check, of_rows: IntArray) -> IntArray:
            return self._buckets(check, of_rows, rows.start_ms)

        vectors = layout.read_closed(rows, places, buckets)
        shape = len(self.starts), len(state.table.names)
        batches = layout.closed_batches(vectors, steps, places, shape)
        is_of_stage = rows.requested_ms >= state.stage.since_ms
        own = np.flatnonzero(is_of_stage & self._have(rows, self._stage.mode))
        kept = np.flatnonzero(is_of_stage & self._count(rows))
        self._assigned = np.zeros((shape[0], COUNT_WIDTH))
        np.add.at(self._assigned, steps[own], vectors[own, layout.counts])
        if kept.size == rows.n:
            return batches, batches
        return batches, layout.closed_batches(vectors[kept], steps[kept], places[kept], shape)

    def _note_measured(self, rows: ClosedRows) -> None:
        """Note in which window a request has the field of a metric for the first time."""
        for metric in self._state.resting_on_field[self._source]:
            if metric in self._measured_since_ms:
                continue
            shown = shown_in(metric, rows.columns)
            if shown.any():
                self._measured_since_ms[metric] = int(rows.start_ms[np.argmax(shown)])

    def _is_measured(self, metric: str, n_windows: int) -> bool:
        """Return whether a metric is, after so many windows."""
        if self._state.measured_since.is_measured(metric):
            return True
        since_ms = self._measured_since_ms.get(metric, NEVER_MS)
        return n_windows > 0 and since_ms <= int(self.starts[n_windows - 1])

    def _places(self, rows: ClosedRows) -> IntArray:
        """Return the places of each row's slices by kind, (n, kinds)."""
        labels = rows.language, rows.workflow, rows.mode
        codes = np.stack([one.codes for one in labels], axis=-1)
        distinct, of_row = np.unique(codes, axis=0, return_inverse=True)
        found = [
            self._state.table.places_of(
                *(one.values[code] for one, code in zip(labels, of_distinct, strict=True))
            )
            for of_distinct in distinct.tolist()
        ]
        of_row = of_row.reshape(-1)
        return np.array(found, dtype=np.int64)[of_row]

    def _have(self, rows: ClosedRows, mode: str) -> BoolArray:
        """Return which rows have a mode."""
        is_mode = np.array([value == mode for value in rows.mode.values], dtype=np.bool_)
        return np.asarray(is_mode[rows.mode.codes], dtype=np.bool_)

    def _count(self, rows: ClosedRows) -> BoolArray:
        """Return which rows count for the present stage: in its mode, or mirrored besides it."""
        counts = [counts_for(self._stage, value) for value in rows.mode.values]
        return np.asarray(np.array(counts, dtype=np.bool_)[rows.mode.codes], dtype=np.bool_)

    def _count_for_stage(self, rows: ClosedRows, steps: IntArray) -> None:
        """Add up what counts for the stage's progress and quality, by window."""
        is_own, counts = self._have(rows, self._stage.mode), self._count(rows)

        def added(names: Sequence[str], of: BoolArray) -> IntArray:
            numbers = sum((rows.columns[name] for name in names), start=np.zeros(rows.n))
            sums = np.bincount(steps, numbers * of, minlength=len(self.starts))
            return sums.astype(np.int64)

        self._arrived = np.stack([added(names, counts) for names in ARRIVED_COLUMNS], axis=-1)
        self._stage_sums = np.stack([added(names, is_own) for names in STAGE_COLUMNS], axis=-1)
        mirrored = counts & ~is_own
        self._mirrored = np.stack([added(names, mirrored) for names in STAGE_COLUMNS], axis=-1)
        groups = np.where(is_own, steps, -1)
        self._models = [
            [dict(sorted(one.items())) for one in column.added(groups, len(self.starts))]
            for column in map(rows.columns.by_name, MODEL_COLUMNS)
        ]
        has_own = np.bincount(steps, is_own, minlength=len(self.starts)) > 0.0
        self._counts = self.starts >= self._state.stage.since_ms
        self._is_of_stage = has_own & self._counts

    def _learn_tails(self, rows: ClosedRows, steps: IntArray, places: IntArray) -> None:
        """Learn stable's tails, and keep what it takes to learn them again up to a window."""
        state = self._state
        newest = np.maximum(self.starts, state.status.newest_window_ms)
        window_ms = np.zeros_like(self.starts)
        np.maximum.at(window_ms, steps, 1000 * rows.window_s)
        for name, measures in state.judged_tails.items():
            of_slice = (places == state.table.places[name]).any(axis=1)
            for measure in sorted(measures):
                column = rows.columns.histogram(f"stable_{TIMES[measure].name}_histogram")
                inside = of_slice[column.rows]
                histograms = ClosedHistograms(
                    newest + window_ms,
                    steps[column.rows[inside]],
                    column.buckets[inside],
                    column.counts[inside],
                )
                self._tails[name, measure] = _Tail(state.tail_threshold(name, measure), histograms)

    def _buckets(self, check: Check, of_rows: IntArray, starts_ms: IntArray) -> IntArray:
        """Return the buckets that rows in slices at these places are judged by, (n, 3)."""
        buckets = np.full((of_rows.size, 3), NO_BUCKET, dtype=np.int64)
        for place in np.unique(of_rows[of_rows != NO_PLACE]).tolist():
            tail = self._tails.get((self._state.table.names[place], check.metric.measure))
            held = tail.held if tail else []
            if not held:
                continue
            since = np.array([entry.since_ms for entry in held])
            stable = [entry.buckets[str(check.metric.quantile)] for entry in held]
            of_entries = np.array([(one, *check.raised_buckets(one)) for one in stable])
            here = np.flatnonzero(of_rows == place)
            entry = np.searchsorted(since, starts_ms[here], side="right") - 1
            buckets[here] = np.where((entry >= 0)[:, None], of_entries[entry], NO_BUCKET)
        return buckets

    def _steps(
        self, check: Check, places: IntArray, batches: FloatArray, of_stage: FloatArray
    ) -> _Steps:
        """Fold a check."""
        state, layout = self._state, self._state.layouts[self._source]
        part, evidence = layout.part(check.key), state.evidence[check.name]
        metric = check.metric.name
        from_ms = counts_from_ms(metric, self._measured_since_ms.get(metric, NEVER_MS))
        if (counts := self.starts >= from_ms).sum() < counts.size:
            batches = batches * counts[:, None, None]
            of_stage = of_stage * counts[:, None, None]
        statistics = batches[:, places, part]
        turns = layout.turn_sums(check, batches, places)
        together = together_of(evidence.slices, statistics)
        effect = DesignEffectSteps(
            check.test,
            state.effects[check.name],
            EffectWindows(self.starts, statistics, together, turns),
            assumption_of(self._rollout),
        )
        windows = FoldedWindows(
            self.starts,
            statistics,
            of_stage[:, places, part],
            self.starts > state.status.forgiven_through_ms,
            effect.of_windows,
        )
        steps = EvidenceSteps(check.test, evidence, windows)
        nothing = np.zeros((0, *statistics.shape[1:]))
        no_window = np.zeros(0, dtype=np.bool_)
        return _Steps(
            steps,
            effect,
            log_evidence(steps.won),
            check.test.units(steps.closed),
            OpenWindows(
                np.zeros(0, dtype=np.int64),
                nothing,
                no_window,
                np.zeros(len(places)),
            ),
        )
