"""Apply a message of window rows to a rollout's state.

All new units of one message and slice are one batch, whatever windows they belong to. Within a
window the slow answers come last, so a batch of one window would be picked by its outcomes; all
that arrived since the last message is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evidence_state import EvidenceState
from understudy.analyzers.guardrails.stage_counts import StageCounts
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.statistics import times
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.window_deltas import (
    OpenRows,
    RowStatistics,
    WindowDelta,
)
from understudy.analyzers.windows.histogram import merge
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowRow, WindowsMessage

STAGE_GRACE_MS = 60_000
"""Event time that gateways are given to apply a new stage before its windows count. They take some
seconds, and a window of 10 s must not mix two stages."""


@dataclass(slots=True)
class _Increment:
    """What a message adds, by slice."""

    added: dict[str, RowStatistics] = field(default_factory=dict)
    newest_ms: dict[str, int] = field(default_factory=dict)
    closed: dict[str, dict[int, RowStatistics]] = field(default_factory=dict)
    """By slice and start of the window; rows of the present stage only."""
    closed_rows: dict[str, list[WindowRow]] = field(default_factory=lambda: defaultdict(list))


def apply_windows(
    rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, message: WindowsMessage
) -> None:
    """Apply a message. Raises ValueError, no evidence touched, where counts of a row shrank."""
    partitions = state.partitions.setdefault(message.source, {})
    open_rows = partitions.get(message.partition) or OpenRows()
    deltas = _deltas(checks, state, open_rows, message)
    partitions[message.partition] = open_rows
    open_rows.begin_flush(message.version)
    status = state.status
    if message.watermark is not None:
        watermark_ms = to_epoch_ms(message.watermark)
        status.watermark_ms = max(status.watermark_ms, watermark_ms)
    status.decided_ms = status.event_ms
    increment = _increment(rollout, state, deltas)
    for key, delta in deltas:
        open_rows.apply(key, delta)
        if is_of_events(delta.row):
            end_ms = delta.start_ms + delta.row.window_s * 1000
            status.newest_window_ms = max(status.newest_window_ms, delta.start_ms)
            status.newest_window_end_ms = max(status.newest_window_end_ms, end_ms)
    _add_evidence(rollout, checks, state, increment)
    _learn_tail_thresholds(checks, state, increment, message)


def is_of_events(row: WindowRow) -> bool:
    """Return whether a row counts requests; feedback says nothing of traffic and its quality."""
    return row.source == "events"


def enter_stage(state: RolloutState, stage: int) -> None:
    """Move to a stage: promotion is earned anew, by windows after the move."""
    state.status.stage = stage
    state.stage = StageCounts(since_ms=state.status.watermark_ms + STAGE_GRACE_MS)
    for of_slice in state.evidence.values():
        for evidence in of_slice.values():
            evidence.enter_stage()


def slices_under_test(
    checks: tuple[Check, ...], state: RolloutState
) -> Iterator[tuple[Check, str, float]]:
    """Yield every check with each slice that it covers so far and its weight, in a fixed order."""
    for check in checks:
        for name, weight in state.arrivals.weights(check.guardrail.slices).items():
            yield check, name, check.weight * weight


def _deltas(
    checks: tuple[Check, ...], state: RolloutState, open_rows: OpenRows, message: WindowsMessage
) -> list[tuple[str, WindowDelta]]:
    """Return the rows that say something new, by key, and what they add; change nothing.

    A version below the partition's may come from a worker that rereads the log; its rows are
    treated like any others. A higher version begins a flush, which marks as closed what the flush
    before it closed.
    """
    ahead = copy(open_rows)
    ahead.begin_flush(message.version)
    usable = (row for row in message.rows if row.mode is not None)
    return [
        (key, ahead.delta(key, row, _read(checks, state, row))) for key, row in ahead.newest(usable)
    ]


def _read(checks: tuple[Check, ...], state: RolloutState, row: WindowRow) -> RowStatistics:
    """Return all statistics that the checks take from a row, those of nothing left out."""
    state.arrivals.note(row)  # harmless when the message is refused, and when it comes again
    slices = list(state.arrivals.slices_of(row))
    found: RowStatistics = {}
    start_ms = to_epoch_ms(row.window_start)
    for check in checks:
        if check.reader is not None:
            if check.key not in found:
                found[check.key] = check.reader(row)
            continue
        for name in slices:
            threshold = state.tail_threshold(name, check.metric.measure)
            bucket = threshold.bucket(check.metric.quantile, start_ms)
            if bucket is not None:
                found[check.key_in(name)] = check.tail_reader(bucket)(row)
    return {key: statistics for key, statistics in found.items() if statistics}


def _increment(
    rollout: Rollout, state: RolloutState, deltas: list[tuple[str, WindowDelta]]
) -> _Increment:
    """Add up the deltas by slice; count what closed for the stage."""
    increment = _Increment()
    stage = rollout.stages[state.status.stage]
    for _, delta in deltas:
        row, start_ms = delta.row, delta.start_ms
        is_of_stage = state.stage.includes(row, stage, start_ms)
        for name in state.arrivals.slices_of(row):
            _add(increment.added.setdefault(name, {}), delta.added)
            increment.newest_ms[name] = max(start_ms, increment.newest_ms.get(name, start_ms))
            if row.closed and is_of_events(row):
                increment.closed_rows[name].append(row)
            if row.closed and is_of_stage:
                windows = increment.closed.setdefault(name, {})
                _add(windows.setdefault(start_ms, {}), delta.total)
        if row.mode == stage.mode and is_of_events(row):
            state.stage.add_arrived(delta.arrived.events, delta.arrived.late)
        if row.closed and is_of_stage and is_of_events(row):
            state.stage.add(row, stage, start_ms)
    state.stage.check_sample_ratio(stage)
    return increment


def _add(into: RowStatistics, more: RowStatistics) -> None:
    for key, statistics in more.items():
        known = into.get(key)
        into[key] = statistics if known is None else known + statistics


def _add_evidence(
    rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, increment: _Increment
) -> None:
    """Add new units to rollback evidence, closed windows to promotion evidence."""
    for check, name, _ in slices_under_test(checks, state):
        added = increment.added.get(name)
        if added is None:
            continue
        key = check.key_in(name)
        closed = {
            start_ms: statistics[key]
            for start_ms, statistics in sorted(increment.closed.get(name, {}).items())
            if key in statistics
        }
        if key not in added and not closed:
            continue
        evidence = _evidence(rollout, state, check, name)
        if key in added:
            evidence.add(check.test, added[key], increment.newest_ms[name])
        for start_ms, statistics in closed.items():
            evidence.close(check.test, statistics, start_ms)


def _evidence(rollout: Rollout, state: RolloutState, check: Check, name: str) -> EvidenceState:
    of_slice = state.evidence.setdefault(name, {})
    if check.name not in of_slice:
        of_slice[check.name] = EvidenceState.begin(
            check.test, independent=rollout.independent_requests
        )
    return of_slice[check.name]


def _learn_tail_thresholds(
    checks: tuple[Check, ...], state: RolloutState, increment: _Increment, message: WindowsMessage
) -> None:
    """Learn from closed windows; what is tested begins past every window seen so far."""
    measures = sorted({check.metric.measure for check in checks if check.is_tail})
    window_ms = max((row.window_s for row in message.rows), default=0) * 1000
    unseen_from_ms = state.status.newest_window_ms + window_ms
    for name, rows in increment.closed_rows.items():
        for measure in measures:
            of_slice = state.tail_thresholds.setdefault(name, {})
            threshold = of_slice.setdefault(measure, TailThreshold())
            if not threshold.buckets:
                histograms = (times(measure, row.stable)[0] for row in rows)
                threshold.learn(merge(*histograms), unseen_from_ms)
