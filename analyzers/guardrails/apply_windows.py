"""Folding a message of window rows into a rollout's state.

All new units of one message and slice are one batch, whatever windows they belong to. Within a
window the slow answers come last, so a batch of one window would be picked by its outcomes; all
that arrived since the last message is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evidence import EvidenceState
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.window_deltas import (
    Change,
    Partition,
    Readings,
    RowKey,
    row_key,
)
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowRow, WindowsMessage

SETTLING_MS = 60_000
"""Event time that gateways are given to obey a new stage before its windows count."""


@dataclass(slots=True)
class _Batch:
    """What a message adds, by slice."""

    added: dict[str, Readings] = field(default_factory=dict)
    newest_ms: dict[str, int] = field(default_factory=dict)
    closed: dict[str, dict[int, Readings]] = field(default_factory=dict)
    """By slice and start of the window; rows of the present stage only."""
    closed_rows: dict[str, list[WindowRow]] = field(default_factory=lambda: defaultdict(list))


def fold(
    rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, message: WindowsMessage
) -> None:
    """Take a message. Raises ValueError, no evidence touched, where counts of a row shrank."""
    place = (message.source, message.partition)
    partition = state.partitions.get(place) or Partition()
    changes = _changes(checks, state, partition, message)
    state.partitions[place] = partition
    partition.begin_flush(message.version)
    standing = state.standing
    if message.watermark is not None:
        watermark_ms = to_epoch_ms(message.watermark)
        standing.watermark_ms = max(standing.watermark_ms, watermark_ms)
    batch = _gather(rollout, checks, state, changes)
    for key, change in changes:
        partition.keep(key, change)
        if is_of_events(change.row):
            standing.newest_ms = max(standing.newest_ms, change.start_ms)
    _weigh(rollout, checks, state, batch)
    _learn(state, batch, message)


def is_of_events(row: WindowRow) -> bool:
    """Whether a row counts requests; feedback says nothing about traffic, its quality or pace."""
    return row.source == "events"


def enter_stage(state: RolloutState, stage: int) -> None:
    """Move to a stage: promotion is earned anew, by windows after the move."""
    state.standing.stage = stage
    state.stage = type(state.stage)(since_ms=state.standing.watermark_ms + SETTLING_MS)
    for of_slice in state.slices.values():
        for weighing in of_slice.values():
            weighing.next_stage()


def _changes(
    checks: tuple[Check, ...], state: RolloutState, partition: Partition, message: WindowsMessage
) -> list[tuple[RowKey, Change]]:
    """The rows that say something new, and what they add.

    A version below the partition's may come from a worker that reads again; its rows are judged
    like any others. The flush that a higher version begins settles what closed before it.
    """
    if message.version > partition.version:
        partition = _flushed(partition, message.version)
    usable = (row for row in message.rows if row.mode is not None)
    changes = []
    for key, row in partition.newest(usable):
        state_slices = _slices_after(state, row)
        changes.append((key, partition.change(key, row, _read(checks, state, row, state_slices))))
    return changes


def _flushed(partition: Partition, version: int) -> Partition:
    """A look at the partition as the new flush will find it; the rows are shared."""
    ahead = Partition(
        partition.version,
        partition.settled_ms,
        partition.closing_ms,
        set(partition.closing),
        partition.rows,
    )
    ahead.begin_flush(version)
    return ahead


def _slices_after(state: RolloutState, row: WindowRow) -> list[str]:
    """The row's slices, its language and workflow having arrived. Noting twice is harmless."""
    state.arrivals.note(row)
    return list(state.arrivals.slices_of(row))


def _read(
    checks: tuple[Check, ...], state: RolloutState, row: WindowRow, slices: list[str]
) -> Readings:
    """All that the checks want of a row, zeros left out."""
    readings: Readings = {}
    start_ms = row_key(row).start_ms
    for check in checks:
        if check.reader is not None:
            if check.probe not in readings:
                readings[check.probe] = check.reader(row)
            continue
        for name in slices:
            reference = state.references.get(name, check.metric.measure)
            bucket = reference.bucket(check.metric.quantile, start_ms)
            if bucket is not None:
                readings[tail_probe(check, name)] = check.tail_reader(bucket)(row)
    return {probe: reading for probe, reading in readings.items() if reading}


def tail_probe(check: Check, name: str) -> str:
    """The name of what a check reads in one slice."""
    return f"{check.probe}@{name}" if check.is_tail else check.probe


def _gather(
    rollout: Rollout,
    checks: tuple[Check, ...],
    state: RolloutState,
    changes: list[tuple[RowKey, Change]],
) -> _Batch:
    """Add up what changed, by slice; count what closed for the stage."""
    batch = _Batch()
    stage = rollout.stages[state.standing.stage]
    for _, change in changes:
        row, start_ms = change.row, change.start_ms
        is_of_stage = state.stage.counts(row, stage, start_ms)
        for name in state.arrivals.slices_of(row):
            _add(batch.added.setdefault(name, {}), change.added)
            batch.newest_ms[name] = max(start_ms, batch.newest_ms.get(name, start_ms))
            if row.closed and is_of_events(row):
                batch.closed_rows[name].append(row)
            if row.closed and is_of_stage:
                windows = batch.closed.setdefault(name, {})
                _add(windows.setdefault(start_ms, {}), change.whole)
        if row.closed and is_of_stage and is_of_events(row):
            state.stage.add(row, stage, start_ms)
    state.stage.look(stage)
    return batch


def _add(into: Readings, readings: Readings) -> None:
    for probe, reading in readings.items():
        known = into.get(probe)
        into[probe] = reading if known is None else known + reading


def _weigh(rollout: Rollout, checks: tuple[Check, ...], state: RolloutState, batch: _Batch) -> None:
    """New units to rollback evidence, closed windows to promotion evidence."""
    for check, name, _ in judged(checks, state):
        added = batch.added.get(name)
        if added is None:
            continue
        probe = tail_probe(check, name)
        windows = batch.closed.get(name, {})
        if probe not in added and not any(probe in closed for closed in windows.values()):
            continue
        weighing = _weighing(rollout, state, check, name)
        if probe in added:
            weighing.add(check.test, added[probe], batch.newest_ms[name])
        for start_ms in sorted(windows):
            if probe in windows[start_ms]:
                weighing.close(check.test, windows[start_ms][probe], start_ms)


def _weighing(rollout: Rollout, state: RolloutState, check: Check, name: str) -> EvidenceState:
    of_slice = state.slices.setdefault(name, {})
    if check.name not in of_slice:
        of_slice[check.name] = EvidenceState.begin(
            check.test, independent=rollout.independent_requests
        )
    return of_slice[check.name]


def judged(checks: tuple[Check, ...], state: RolloutState) -> Iterator[tuple[Check, str, float]]:
    """Every check with every slice that it looks at so far and its weight, in a fixed order."""
    for check in checks:
        for name, weight in state.arrivals.weights(check.guardrail.slices).items():
            yield check, name, check.weight * weight


def _learn(state: RolloutState, batch: _Batch, message: WindowsMessage) -> None:
    """TailThresholds take closed windows; what they judge begins past every window seen."""
    if not state.references.measures:
        return
    window_ms = max((row.window_s for row in message.rows), default=0) * 1000
    unseen_from_ms = state.standing.newest_ms + window_ms
    for name, rows in batch.closed_rows.items():
        state.references.learn(name, rows, unseen_from_ms)
