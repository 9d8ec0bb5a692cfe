"""Fold a window that will not change any more into the evidence of all checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from understudy.analyzers.guardrails.check_evidence import FoldedWindow
from understudy.analyzers.guardrails.check_stacks import CheckStack
from understudy.analyzers.guardrails.design_effect import PARTIES, Assumption
from understudy.analyzers.guardrails.stage_counts import Assigned, Assignment, counts_for
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.turn_readers import COUNT_WIDTH, COUNTS
from understudy.analyzers.guardrails.window_store import RowKey, StoredRow
from understudy.analyzers.sequential.bets import FloatArray
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import Source

KeyedRows = Sequence[tuple[RowKey, StoredRow]]


def fold_window(
    rollout: Rollout,
    state: RolloutState,
    source: Source,
    start_ms: int,
    rows: KeyedRows,
    *,
    is_late: bool,
) -> None:
    """Fold a window's closed rows; late ones are what closed of a window that was folded before."""
    state.note_fold()
    stage, since_ms = rollout.stages[state.status.stage], state.stage.since_ms
    of_stage = [
        (key, row)
        for key, row in rows
        if key.requested_ms >= since_ms and counts_for(stage, key.mode)
    ]
    if source == "events":
        counts = np.zeros(COUNT_WIDTH)
        for key, row in of_stage:
            if key.mode == stage.mode:
                counts += row.values[state.layouts["events"].counts]
        assignment = assignment_of(rollout, start_ms, counts, is_late=is_late)
        state.stage.check_sample_ratio(stage, assignment)
    batch = batch_of(state, source, rows)
    batch_of_stage = batch if len(of_stage) == len(rows) else batch_of(state, source, of_stage)
    closed = _ClosedBatches(start_ms, batch, batch_of_stage, is_late)
    for stack in state.stacks.of_source[source]:
        _fold_stack(state, stack, closed, assumption_of(rollout))


class _ClosedBatches(NamedTuple):
    """The closed rows of a window, added up."""

    start_ms: int
    all: FloatArray
    """(n_slices, batch_width)"""
    of_stage: FloatArray
    """The same of those rows that belong to the present stage."""
    is_late: bool


def _fold_stack(
    state: RolloutState, stack: CheckStack, closed: _ClosedBatches, assumption: Assumption
) -> None:
    known = stack.known(state.evidence, state.effects, assumption)
    counts = stack.counts(np.array([closed.start_ms]), state.measured_since)
    is_counted = np.ones(stack.n_cells, dtype=np.bool_) if counts is None else counts[0]
    seen = stack.turn_sums(closed.all, is_counted)
    divisor = known.effects.divisors(
        stack.effect, known.correlation, known.unnamed, seen.of_one(), assumption
    )
    window = FoldedWindow(
        start_ms=closed.start_ms,
        statistics=np.where(is_counted[:, None], stack.statistics(closed.all[None])[0], 0.0),
        of_stage=np.where(is_counted[:, None], stack.statistics(closed.of_stage[None])[0], 0.0),
        counts_for_rollback=closed.start_ms > state.status.forgiven_through_ms,
        is_late=closed.is_late,
    )
    evidence, effects = replace(known.evidence), known.effects
    evidence.fold(stack.test, window, divisor[0])
    if not closed.is_late:
        together = stack.together(window.statistics)
        effects = effects.after(
            stack.effect_tests, closed.start_ms, window.statistics, together, seen
        )
    stack.replace(state.evidence, state.effects, stack.known_of(evidence, effects, assumption))


def assignment_of(
    rollout: Rollout, start_ms: int, counts: FloatArray, *, is_late: bool
) -> Assignment:
    """Return how the requests of a window were assigned to the arms, by its sums of `read_counts`.

    They are those of the stage's rows.
    """
    by_party = counts.astype(np.int64).reshape(PARTIES, 1 + len(COUNTS))
    (_, of_candidate, of_stable) = by_party.tolist()
    requests, named, first, _ = zip(of_candidate, of_stable, strict=True)
    return Assignment(
        start_ms=start_ms,
        first_turns=Assigned(first[0], sum(first)),
        unnamed=Assigned(requests[0] - named[0], sum(requests) - sum(named)),
        is_late=is_late,
        is_independent=rollout.independent_requests,
    )


def batch_of(state: RolloutState, source: Source, rows: KeyedRows) -> FloatArray:
    """Return the sums of some rows by slice, (n_slices, batch_width), see `row_layout`."""
    layout = state.layouts[source]
    vectors = np.array([row.values for _, row in rows]).reshape(len(rows), layout.width)
    return layout.batch(vectors, [key for key, _ in rows], state.table)


def assumption_of(rollout: Rollout) -> Assumption:
    """Return what the policy says about conversations."""
    return Assumption(rollout.independent_requests, rollout.turns_per_conversation)
