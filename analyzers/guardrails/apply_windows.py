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

from understudy.analyzers.guardrails.fold_window import fold_window
from understudy.analyzers.guardrails.measured_since import rests_on_field
from understudy.analyzers.guardrails.row_layout import ARRIVED
from understudy.analyzers.guardrails.slice_table import NO_PLACE
from understudy.analyzers.guardrails.stage_counts import (
    StageCounts,
    StageSums,
    counts_for,
)
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.window_store import RowKey, Rows, StoredRow
from understudy.analyzers.windows.histogram import merge
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_metrics import TIMES
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import Source, WindowRow, WindowsMessage

STAGE_GRACE_MS: Final = 60_000
"""Event time that gateways are given to apply a new stage before its windows count. They take some
seconds, and a window of 10 s must not mix two stages."""


def apply_windows(
    rollout: Rollout,
    state: RolloutState,
    message: WindowsMessage,
    following: Sequence[WindowsMessage] = (),
) -> None:
    """Apply a message. Raises ValueError, no evidence touched, where counts of a row shrank.

    One that asks for a look says nothing else. `following` are messages that come next, if they are
    known: their rows are read with those of this one, and applied in their turn.
    """
    if message.asks_for_look:
        return
    store = state.stores[message.source]
    usable = (row for row in message.rows if _is_usable(state, row))
    rows = store.newest(message.partition, message.version, usable)
    # Harmless when the message is refused, and when it comes again.
    if sum(state.arrivals.note(row.language, row.workflow) for row in rows.values()):
        state.cover_arrivals()
    stored = _stored(state, message, rows, following)
    _count_for_stage(rollout, state, message, rows, stored)
    late = store.apply(message.partition, message.version, stored)
    state.measured_since.note(metrics_resting_on_field(state, message.source), rows)
    if state.stacks.of_source[message.source]:
        state.sums[message.source].note((message.partition, key) for key in stored)
    _note_changes(state, message.source, stored)
    _note_times(state, message, rows)
    _fold_late(rollout, state, message.source, late)
    _learn_tail_thresholds(state, message, rows)
    while (start_ms := store.next_to_fold()) is not None:
        rows_of_window = store.fold(start_ms)
        fold_window(rollout, state, message.source, start_ms, rows_of_window, is_late=False)


def _is_usable(state: RolloutState, row: WindowRow) -> bool:
    """Whether a row says of which requests it is, and no evaluator but those that are named."""
    return row.mode is not None and (not row.evaluator or row.evaluator in state.evaluators)


def enter_stage(state: RolloutState, stage: int) -> None:
    """Move to a stage: promotion is earned anew, by windows after the move."""
    state.status.stage = stage
    state.stage = StageCounts(since_ms=state.status.watermark_ms + STAGE_GRACE_MS)
    for evidence in state.evidence.values():
        evidence.enter_stage()


def _stored(
    state: RolloutState,
    message: WindowsMessage,
    rows: dict[RowKey, WindowRow],
    following: Sequence[WindowsMessage],
) -> Rows:
    """Read rows. Raises ValueError, nothing changed, where one holds less than it did."""
    layout, store = state.layouts[message.source], state.stores[message.source]
    next_rows = (
        row
        for other in following
        if other.source == message.source
        for row in other.rows
        if _is_usable(state, row)
    )
    ahead = state.ahead[message.source]
    vectors = ahead.read(rows, next_rows, state.table, state.tail_thresholds)
    stored = {
        key: StoredRow(row.version, row.closed, values)
        for (key, row), values in zip(rows.items(), vectors, strict=True)
    }
    known = {key: one for key in rows if (one := store.find(message.partition, key)) is not None}
    if known:
        before, after = (
            np.array([one.values for one in known.values()]),
            [stored[key].values for key in known],
        )
        if layout.shrank(before, np.array(after)):
            raise ValueError("a newer version of a window row holds less than an older one")
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
    own = [(key, row) for key, row in rows.items() if counts_for(stage, key.mode)]
    known = [state.stores["events"].find(message.partition, key) for key, _ in own]
    before = [one.values[-ARRIVED:] if one else np.zeros(ARRIVED) for one in known]
    after = [stored[key].values[-ARRIVED:] for key, _ in own]
    if own:
        arrived = (np.array(after) - np.array(before)).astype(np.int64).sum(axis=0)
        counts.add_arrived(*arrived.tolist())
    for key, row in own:
        if row.closed and key.start_ms >= counts.since_ms:
            (closed[key.start_ms] if key.mode == stage.mode else mirrored).append(row)
    counts.add_mirrored(StageSums.of(mirrored))
    for start_ms, of_window in sorted(closed.items()):
        end_ms = start_ms + max(row.window_s for row in of_window) * 1000
        counts.add(StageSums.of(of_window), stage, start_ms, end_ms)


def _note_changes(state: RolloutState, source: Source, stored: Rows) -> None:
    """Note which open windows the next look has to look at; what is late is folded, or waits."""
    starts_ms = {key.start_ms for key in stored}.intersection(state.stores[source].starts())
    if source == "events" and starts_ms:
        first_ms, known_ms = min(starts_ms), state.changed_from_ms
        state.changed_from_ms = first_ms if known_ms is None else min(first_ms, known_ms)


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
        fold_window(rollout, state, source, start_ms, list(rows), is_late=True)


def _learn_tail_thresholds(
    state: RolloutState, message: WindowsMessage, rows: dict[RowKey, WindowRow]
) -> None:
    """Learn from rows that closed; what is judged begins past every window seen so far."""
    closed = [(key, row) for key, row in rows.items() if row.closed]
    if message.source != "events" or not closed or not (judged := judged_tails(state)):
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
            newest = threshold.entries[-1:]
            threshold.learn(_stable_histogram(measure, of_slice), unseen_from_ms)
            if threshold.entries[-1:] != newest:
                state.ahead["events"].clear()


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
