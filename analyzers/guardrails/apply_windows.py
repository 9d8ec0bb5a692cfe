"""Apply a message of window rows to a rollout's state.

Rows replace their older versions in the store of their source. Windows that won't change any more
are folded into the evidence, in the order of request time; the others are looked at as they are,
see `look`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.check_evidence import FoldedWindow
from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    Assumption,
    after_window,
    divisors,
)
from understudy.analyzers.guardrails.measured_since import rests_on_field
from understudy.analyzers.guardrails.row_layout import ARRIVED
from understudy.analyzers.guardrails.slice_table import NO_PLACE
from understudy.analyzers.guardrails.slices import ALL, MIRRORED
from understudy.analyzers.guardrails.stage_counts import (
    Assigned,
    Assignment,
    StageCounts,
    StageSums,
    counts_for,
)
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.turn_readers import COUNT_WIDTH, COUNTS
from understudy.analyzers.guardrails.window_store import RowKey, Rows, StoredRow
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.windows.histogram import merge
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_metrics import TIMES
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import Source, WindowRow, WindowsMessage

STAGE_GRACE_MS: Final = 60_000
"""Event time that gateways are given to apply a new stage before its windows count. They take some
seconds, and a window of 10 s must not mix two stages."""


def apply_windows(rollout: Rollout, state: RolloutState, message: WindowsMessage) -> None:
    """Apply a message. Raises ValueError, no evidence touched, where counts of a row shrank.

    One that asks for a look says nothing else.
    """
    if message.asks_for_look:
        return
    store = state.stores[message.source]
    usable = (row for row in message.rows if _is_usable(state, row))
    rows = store.newest(message.partition, message.version, usable)
    # Harmless when the message is refused, and when it comes again.
    if sum(state.arrivals.note(row.language, row.workflow) for row in rows.values()):
        state.cover_arrivals()
    stored = _stored(state, message, rows)
    _count_for_stage(rollout, state, message, rows, stored)
    late = store.apply(message.partition, message.version, stored)
    state.measured_since.note(metrics_resting_on_field(state, message.source), rows)
    for key in stored:
        state.batches[message.source].pop(key.start_ms, None)
    _note_times(state, message, rows)
    _fold_late(rollout, state, message.source, late)
    _learn_tail_thresholds(state, message, rows)
    while (start_ms := store.next_to_fold()) is not None:
        state.batches[message.source].pop(start_ms, None)
        _fold(rollout, state, message.source, start_ms, store.fold(start_ms), is_late=False)


def _is_usable(state: RolloutState, row: WindowRow) -> bool:
    """Whether a row says of which requests it is, and no evaluator but those that are named."""
    return row.mode is not None and (not row.evaluator or row.evaluator in state.evaluators)


def enter_stage(state: RolloutState, stage: int) -> None:
    """Move to a stage: promotion is earned anew, by windows after the move."""
    state.status.stage = stage
    state.stage = StageCounts(since_ms=state.status.watermark_ms + STAGE_GRACE_MS)
    for evidence in state.evidence.values():
        evidence.enter_stage()


def _stored(state: RolloutState, message: WindowsMessage, rows: dict[RowKey, WindowRow]) -> Rows:
    """Read rows. Raises ValueError, nothing changed, where one holds less than it did."""
    layout, store = state.layouts[message.source], state.stores[message.source]
    vectors = layout.read(rows, state.table, state.tail_thresholds)
    stored = {}
    for (key, row), values in zip(rows.items(), vectors, strict=True):
        known = store.find(message.partition, key)
        if known is not None and layout.shrank(known.values, values):
            raise ValueError("a newer version of a window row holds less than an older one")
        stored[key] = StoredRow(row.version, row.closed, values)
    return stored


def _count_for_stage(
    rollout: Rollout,
    state: RolloutState,
    message: WindowsMessage,
    rows: dict[RowKey, WindowRow],
    stored: Rows,
) -> None:
    """Count requests of closed windows, and events as they arrive; before rows are stored."""
    if message.source != "events":
        return
    stage, counts = rollout.stages[state.status.stage], state.stage
    closed: dict[int, list[WindowRow]] = defaultdict(list)
    mirrored: list[WindowRow] = []
    for key, row in rows.items():
        if not counts_for(stage, key.mode):
            continue
        known = state.stores["events"].find(message.partition, key)
        before = known.values[-ARRIVED:] if known else np.zeros(ARRIVED)
        events, late = (stored[key].values[-ARRIVED:] - before).astype(np.int64).tolist()
        counts.add_arrived(events, late)
        if row.closed and key.start_ms >= counts.since_ms:
            (closed[key.start_ms] if key.mode == stage.mode else mirrored).append(row)
    counts.add_mirrored(StageSums.of(mirrored))
    for start_ms, of_window in sorted(closed.items()):
        end_ms = start_ms + max(row.window_s for row in of_window) * 1000
        counts.add(StageSums.of(of_window), stage, start_ms, end_ms)


def _note_times(
    state: RolloutState, message: WindowsMessage, rows: dict[RowKey, WindowRow]
) -> None:
    status = state.status
    if message.watermark is not None:
        status.watermark_ms = max(status.watermark_ms, to_epoch_ms(message.watermark))
    status.decided_ms = status.event_ms
    if message.source == "events":
        for key in rows:
            end_ms = key.start_ms + key.window_s * 1000
            status.newest_window_ms = max(status.newest_window_ms, key.start_ms)
            status.newest_window_end_ms = max(status.newest_window_end_ms, end_ms)


def _fold_late(rollout: Rollout, state: RolloutState, source: Source, late: Rows) -> None:
    """Take what closed of folded windows: a batch of its own for each."""
    ordered = sorted(late.items(), key=lambda item: item[0].start_ms)
    for start_ms, rows in groupby(ordered, key=lambda item: item[0].start_ms):
        _fold(rollout, state, source, start_ms, list(rows), is_late=True)


def _fold(
    rollout: Rollout,
    state: RolloutState,
    source: Source,
    start_ms: int,
    rows: Sequence[tuple[RowKey, StoredRow]],
    *,
    is_late: bool,
) -> None:
    """Fold a window's closed rows into the evidence of all checks."""
    state.note_fold()
    stage = rollout.stages[state.status.stage]
    since_ms = state.stage.since_ms
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
    layout, table, assumption = state.layouts[source], state.table, assumption_of(rollout)
    nothing = np.zeros_like(batch)
    for check, places in zip(state.checks, table.places_of_check, strict=True):
        if check.source != source:
            continue
        part = layout.part(check.key)
        is_counted = start_ms >= state.measured_since.counts_from_ms(check.metric.name)
        counted = batch if is_counted else nothing
        statistics, turns = counted[places, part], layout.turn_sums(check, counted, places)
        known = state.effects[check.name]
        divisor = divisors(check.test, known, turns.of_one(), assumption)
        window = FoldedWindow(
            start_ms=start_ms,
            statistics=statistics,
            of_stage=(batch_of_stage if is_counted else nothing)[places, part],
            counts_for_rollback=start_ms > state.status.forgiven_through_ms,
            is_late=is_late,
        )
        state.evidence[check.name].fold(check.test, window, divisor[0])
        if not is_late:
            state.effects[check.name] = after_window(
                check.test,
                known,
                start_ms,
                statistics,
                together_of(state.evidence[check.name].slices, statistics),
                turns,
            )


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


def batch_of(
    state: RolloutState, source: Source, rows: Sequence[tuple[RowKey, StoredRow]]
) -> FloatArray:
    """Return the sums of some rows by slice, (n_slices, batch_width), see `row_layout`."""
    layout = state.layouts[source]
    vectors = np.array([row.values for _, row in rows]).reshape(len(rows), layout.width)
    return layout.batch(vectors, [key for key, _ in rows], state.table)


def _learn_tail_thresholds(
    state: RolloutState, message: WindowsMessage, rows: dict[RowKey, WindowRow]
) -> None:
    """Learn from rows that closed; what is judged begins past every window seen so far."""
    closed = [(key, row) for key, row in rows.items() if row.closed]
    judged = judged_tails(state)
    if message.source != "events" or not closed or not judged:
        return
    by_slice: dict[str, list[WindowRow]] = defaultdict(list)
    for key, row in closed:
        for place in state.table.places_of(key.language, key.workflow, key.mode):
            if place != NO_PLACE and state.table.names[place] in judged:
                by_slice[state.table.names[place]].append(row)
    window_ms = max(key.window_s for key, _ in closed) * 1000
    unseen_from_ms = state.status.newest_window_ms + window_ms
    for name, of_slice in by_slice.items():
        thresholds = state.tail_thresholds.setdefault(name, {})
        for measure in sorted(judged[name]):
            threshold = thresholds.setdefault(measure, TailThreshold())
            threshold.learn(_stable_histogram(measure, of_slice), unseen_from_ms)


def metrics_resting_on_field(state: RolloutState, source: Source) -> list[str]:
    """Return the metrics that rest on a field of the events, each once, in the policy's order."""
    names = (check.metric.name for check in state.checks if check.source == source)
    return [name for name in dict.fromkeys(names) if rests_on_field(name)]


def judged_tails(state: RolloutState) -> dict[str, set[str]]:
    """Return the measures whose tails are judged, by slice."""
    found: dict[str, set[str]] = defaultdict(set)
    for check, slices in zip(state.checks, state.table.of_check, strict=True):
        if check.is_tail:
            for name in slices:
                found[name].add(check.metric.measure)
    return found


def _stable_histogram(measure: str, rows: Iterable[WindowRow]) -> dict[int, int]:
    name = f"{TIMES[measure].name}_histogram"
    return merge(*(getattr(row.stable, name) for row in rows))


def together_of(slices: Sequence[str], statistics: FloatArray) -> FloatArray:
    """Return the statistics (..., k) of all requests; where they are no slice, of all slices."""
    wholes = [place for place, name in enumerate(slices) if name in (ALL, MIRRORED)]
    if len(wholes) == 1:
        return statistics[..., wholes[0], :]
    if wholes:
        of_both: FloatArray = statistics[..., wholes, :].sum(axis=-2)
        return of_both
    together: FloatArray = statistics.sum(axis=-2)
    return together


def assumption_of(rollout: Rollout) -> Assumption:
    """Return what the policy says about conversations."""
    return Assumption(rollout.independent_requests, rollout.turns_per_conversation)
