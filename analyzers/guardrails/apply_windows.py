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
from msgspec import UNSET

from understudy.analyzers.guardrails.fold_window import fold_window
from understudy.analyzers.guardrails.read_ahead import ReadRows
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
from understudy.schemas.row_lists import RowLists
from understudy.schemas.windows import Source, WindowsMessage

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
    store, ahead = state.stores[message.source], state.ahead[message.source]
    usable = ahead.usable(message, state.evaluators)
    versions = [message.columns.version[place] for place in usable.places]
    newest = store.newest(
        message.partition, message.version, zip(usable.keys, versions, strict=True)
    )
    # Harmless when the message is refused, and when it comes again.
    slices = dict.fromkeys((key.language, key.workflow) for key in newest)
    if sum(state.arrivals.note(*one) for one in slices):
        state.cover_arrivals()
    next_rows = (
        ahead.usable(other, state.evaluators)
        for other in following
        if other.source == message.source
    )
    rows = ahead.read(usable, list(newest.values()), next_rows, state.table, state.tail_thresholds)
    known = [store.find(message.partition, key) for key in rows.keys]
    stored = _stored(state, message, rows, known)
    _count_for_stage(rollout, state, message, rows, known)
    late = store.apply(message.partition, message.version, stored)
    starts_ms = np.array([key.start_ms for key in rows.keys], dtype=np.int64)
    state.measured_since.note(state.resting_on_field[message.source], starts_ms, rows.shown)
    if message.source in state.paths:
        state.sums[message.source].note(message.partition, stored)
    _note_changes(state, message.source, stored)
    _note_times(state, message, rows)
    _fold_late(rollout, state, message.source, late)
    _learn_tail_thresholds(state, message, rows)
    while (start_ms := store.next_to_fold()) is not None:
        rows_of_window = store.fold(start_ms)
        fold_window(rollout, state, message.source, start_ms, rows_of_window, is_late=False)


def enter_stage(state: RolloutState, stage: int) -> None:
    """Move to a stage: promotion is earned anew, by windows after the move."""
    state.status.stage = stage
    state.stage = StageCounts(since_ms=state.status.watermark_ms + STAGE_GRACE_MS)
    for evidence in state.evidence.values():
        evidence.enter_stage()


def _stored(
    state: RolloutState,
    message: WindowsMessage,
    rows: ReadRows,
    known: Sequence[StoredRow | None],
) -> Rows:
    """Return rows as they are kept. Raises ValueError where one holds less than it did."""
    layout, lists = state.layouts[message.source], message.columns
    pairs = [
        (one.values, values)
        for one, values in zip(known, rows.vectors, strict=True)
        if one is not None
    ]
    if pairs:
        before, after = map(np.array, zip(*pairs, strict=True))
        if layout.shrank(before, after):
            raise ValueError("a newer version of a window row holds less than an older one")
    return {
        key: StoredRow(lists.version[place], _is_closed(lists, place), values)
        for key, place, values in zip(rows.keys, rows.places, rows.vectors, strict=True)
    }


def _is_closed(lists: RowLists, place: int) -> bool:
    return lists.closed is not UNSET and lists.closed[place]


def _count_for_stage(
    rollout: Rollout,
    state: RolloutState,
    message: WindowsMessage,
    rows: ReadRows,
    known: Sequence[StoredRow | None],
) -> None:
    """Count requests of closed windows, and events as they arrive; before rows are stored."""
    if message.source != "events":
        return
    stage, counts, lists = rollout.stages[state.status.stage], state.stage, message.columns
    closed: dict[int, list[tuple[RowKey, int]]] = defaultdict(list)
    mirrored: list[int] = []
    before, after = [], []
    for key, place, one, values in zip(rows.keys, rows.places, known, rows.vectors, strict=True):
        if not counts_for(stage, key.mode):
            continue
        before.append(one.values[-ARRIVED:] if one else np.zeros(ARRIVED))
        after.append(values[-ARRIVED:])
        if _is_closed(lists, place) and key.start_ms >= counts.since_ms:
            if key.mode == stage.mode:
                closed[key.start_ms].append((key, place))
            else:
                mirrored.append(place)
    if after:
        arrived = (np.array(after) - np.array(before)).astype(np.int64).sum(axis=0)
        counts.add_arrived(*arrived.tolist())
    if mirrored:
        counts.add_mirrored(StageSums.of(lists, mirrored))
    for start_ms, of_window in sorted(closed.items()):
        end_ms = start_ms + max(key.window_s for key, _ in of_window) * 1000
        sums = StageSums.of(lists, [place for _, place in of_window])
        counts.add(sums, stage, start_ms, end_ms)


def _note_changes(state: RolloutState, source: Source, stored: Rows) -> None:
    """Note which open windows the next look has to look at; what is late is folded, or waits."""
    starts_ms = {key.start_ms for key in stored}.intersection(state.stores[source].starts())
    if source == "events" and starts_ms:
        first_ms, known_ms = min(starts_ms), state.changed_from_ms
        state.changed_from_ms = first_ms if known_ms is None else min(first_ms, known_ms)


def _note_times(state: RolloutState, message: WindowsMessage, rows: ReadRows) -> None:
    status = state.status
    if message.watermark is not None:
        status.watermark_ms = max(status.watermark_ms, to_epoch_ms(message.watermark))
    status.decided_ms = status.event_ms
    if message.source == "events":
        for key in rows.keys:
            end_ms = key.start_ms + key.window_s * 1000
            status.newest_window_ms = max(status.newest_window_ms, key.start_ms)
            status.newest_window_end_ms = max(status.newest_window_end_ms, end_ms)


def _fold_late(rollout: Rollout, state: RolloutState, source: Source, late: Rows) -> None:
    """Take what closed of folded windows: a batch of its own for each."""
    ordered = sorted(late.items(), key=lambda item: item[0].start_ms)
    for start_ms, rows in groupby(ordered, key=lambda item: item[0].start_ms):
        fold_window(rollout, state, source, start_ms, list(rows), is_late=True)


def _learn_tail_thresholds(state: RolloutState, message: WindowsMessage, rows: ReadRows) -> None:
    """Learn from rows that closed; what is judged begins past every window seen so far."""
    lists = message.columns
    if message.source != "events" or lists.closed is UNSET:
        return
    closed = [
        (key, place)
        for key, place in zip(rows.keys, rows.places, strict=True)
        if lists.closed[place]
    ]
    if not closed or not (judged := state.judged_tails):
        return
    by_slice: dict[str, list[int]] = defaultdict(list)
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
            threshold.learn(_stable_histogram(measure, lists, of_slice), unseen_from_ms)
            if threshold.entries[-1:] != newest:
                state.ahead["events"].clear()


def _stable_histogram(measure: str, lists: RowLists, places: Iterable[int]) -> dict[int, int]:
    column = getattr(lists, f"stable_{TIMES[measure].name}_histogram")
    return {} if column is UNSET else merge(*(column[place] for place in places))
